import { existsSync, readdirSync } from "node:fs";

/** How hot each processor is tells of what others do on it. Those of this machine that say so. */
export function thermalPaths(folder = "/sys/devices/system/cpu"): string[] {
  if (!existsSync(folder)) return [];
  const processors = readdirSync(folder).filter((name) => /^cpu\d+$/.test(name));
  return processors.map((name) => `${folder}/${name}/thermal_throttle`).filter((path) => existsSync(path));
}

/** Paths that tell of or reach into the machine; hidden from a container unless it is privileged. Docker's lists. */
export const MASKED_PATHS: readonly string[] = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
  ...thermalPaths(),
];

/** Paths that a container may read only. */
export const READONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];
