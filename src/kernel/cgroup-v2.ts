import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ContainerBlkioStatEntry } from "../api/types/container.ts";
import { delegateControllers } from "./cgroup-delegate.ts";
import {
  groupFolder,
  killGroup,
  readKnob,
  readNumber,
  readPids,
  readTable,
  removeGroup,
  settle,
  subgroups,
  writeKnob,
} from "./cgroup-files.ts";
import { cgroupWarmer } from "./cgroup-warm.ts";
import type { CgroupFeatures, CgroupLimits, CgroupStats, CgroupTree } from "./cgroups.ts";

/** cpu.stat counts microseconds, Docker nanoseconds. */
const MICROSECOND = 1000;

export function v2Tree(root: string): CgroupTree {
  const at = (path: string) => groupFolder(root, path);
  return {
    version: 2,
    hybrid: false,
    features: features(root),
    exists: (path) => existsSync(at(path)),
    pids: (path) => readPids(at(path)),
    stats: (path) => stats(at(path)),
    async freeze(path) {
      writeKnob(at(path), "cgroup.freeze", "1");
      const frozen = () => readTable(at(path), "cgroup.events").frozen === 1;
      await settle(frozen, () => writeKnob(at(path), "cgroup.freeze", "0"));
    },
    async thaw(path) {
      writeKnob(at(path), "cgroup.freeze", "0");
    },
    killAll(path) {
      const folder = at(path);
      try {
        // Since Linux 5.14; a frozen group dies of it too.
        writeKnob(folder, "cgroup.kill", "1");
      } catch {
        // Also where the group is threaded, which has no such end.
        killGroup(folder);
      }
    },
    update: (path, limits) => update(at(path), limits),
    oomFile: (path) => join(at(path), "memory.events"),
    delegate: () => delegateControllers(root),
    warm: cgroupWarmer(root, ""),
    remove: (path) => removeGroup(at(path)),
  };
}

function features(root: string): CgroupFeatures {
  const controllers = new Set(readKnob(root, "cgroup.controllers").trim().split(" "));
  const memory = controllers.has("memory");
  return Object.freeze({
    memoryLimit: memory,
    memoryReservation: memory,
    memorySwappiness: false,
    swapLimit: memory && swapIsLimited(root),
    oomKillDisable: false,
    kernelMemoryTcp: false,
    cpuShares: controllers.has("cpu"),
    cpuCfs: controllers.has("cpu"),
    cpuRealtime: false,
    cpuset: controllers.has("cpuset"),
    cpus: readKnob(root, "cpuset.cpus.effective").trim(),
    mems: readKnob(root, "cpuset.mems.effective").trim(),
    blkioWeight: controllers.has("io"),
    blkioThrottle: controllers.has("io"),
    pidsLimit: controllers.has("pids"),
    // By a BPF program that the runtime loads.
    devices: true,
  });
}

/** The root group has no memory.swap.max, so the first group that limits memory tells; without one we assume a usual kernel. */
function swapIsLimited(root: string): boolean {
  const group = subgroups(root).find((folder) => existsSync(join(folder, "memory.max")));
  return group === undefined || existsSync(join(group, "memory.swap.max"));
}

function stats(folder: string): CgroupStats {
  const limit = readNumber(folder, "pids.max");
  return {
    pids_stats: { current: readNumber(folder, "pids.current") ?? 0, ...(limit === undefined ? {} : { limit }) },
    cpu_stats: cpuStats(folder),
    memory_stats: memoryStats(folder),
    blkio_stats: { io_service_bytes_recursive: ioStats(folder) },
  };
}

function cpuStats(folder: string): CgroupStats["cpu_stats"] {
  const cpu = readTable(folder, "cpu.stat");
  const nanoseconds = (name: string) => (cpu[name] ?? 0) * MICROSECOND;
  return {
    cpu_usage: {
      total_usage: nanoseconds("usage_usec"),
      usage_in_kernelmode: nanoseconds("system_usec"),
      usage_in_usermode: nanoseconds("user_usec"),
    },
    throttling_data: {
      periods: cpu.nr_periods ?? 0,
      throttled_periods: cpu.nr_throttled ?? 0,
      throttled_time: nanoseconds("throttled_usec"),
    },
  };
}

function memoryStats(folder: string): CgroupStats["memory_stats"] {
  const limit = readNumber(folder, "memory.max");
  const maximum = readNumber(folder, "memory.peak");
  return {
    usage: readNumber(folder, "memory.current") ?? 0,
    ...(maximum === undefined ? {} : { max_usage: maximum }),
    // As Docker fills v1's count of refused pages.
    failcnt: readTable(folder, "memory.events").oom ?? 0,
    stats: readTable(folder, "memory.stat"),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** "8:0 rbytes=4096 wbytes=0 rios=1 …" per device. */
function ioStats(folder: string): ContainerBlkioStatEntry[] {
  return readKnob(folder, "io.stat")
    .split("\n")
    .flatMap((line) => {
      const [device = "", ...pairs] = line.split(" ");
      const [major, minor] = device.split(":").map(Number);
      const values = Object.fromEntries(pairs.map((pair) => pair.split("=")));
      if (major === undefined || minor === undefined) return [];
      return [
        { major, minor, op: "read", value: Number(values.rbytes ?? 0) },
        { major, minor, op: "write", value: Number(values.wbytes ?? 0) },
      ];
    });
}

const max = (value: number) => (value < 0 ? "max" : String(value));

/** One knob per limit: its file, and what is written for the value. */
const KNOBS: readonly (readonly [keyof CgroupLimits, string, (value: never) => string])[] = [
  ["cpuShares", "cpu.weight", (shares: number) => String(weightOfShares(shares))],
  ["cpusetCpus", "cpuset.cpus", (cpus: string) => cpus],
  ["cpusetMems", "cpuset.mems", (mems: string) => mems],
  ["memory", "memory.max", max],
  ["memoryReservation", "memory.low", (bytes: number) => String(Math.max(0, bytes))],
  ["pids", "pids.max", max],
  ["blkioWeight", "io.weight", (weight: number) => `default ${1 + Math.floor(((weight - 10) * 9999) / 990)}`],
];

function update(folder: string, limits: CgroupLimits): void {
  updateSwap(folder, limits);
  for (const [name, file, text] of KNOBS) {
    const value = limits[name];
    if (value !== undefined) writeKnob(folder, file, text(value as never));
  }
  if (limits.cpuQuota !== undefined || limits.cpuPeriod !== undefined) updateQuota(folder, limits);
}

/** v2 counts swap alone, so the memory that applies is taken off. */
function updateSwap(folder: string, { memory, memorySwap }: CgroupLimits): void {
  if (memorySwap === undefined || !existsSync(join(folder, "memory.swap.max"))) return;
  const limit = memory ?? readNumber(folder, "memory.max") ?? -1;
  const swap = memorySwap < 0 || limit < 0 ? -1 : memorySwap - limit;
  writeKnob(folder, "memory.swap.max", max(Math.max(-1, swap)));
}

function updateQuota(folder: string, { cpuQuota, cpuPeriod }: CgroupLimits): void {
  const [quota = "max", period = "100000"] = readKnob(folder, "cpu.max").trim().split(" ");
  const wanted = cpuQuota === undefined ? quota : cpuQuota <= 0 ? "max" : String(cpuQuota);
  writeKnob(folder, "cpu.max", `${wanted} ${cpuPeriod || period}`);
}

/** The runtimes' mapping of v1's 2–262144 to v2's 1–10000. */
export function weightOfShares(shares: number): number {
  return shares <= 0 ? 100 : 1 + Math.floor(((Math.max(2, Math.min(262144, shares)) - 2) * 9999) / 262142);
}
