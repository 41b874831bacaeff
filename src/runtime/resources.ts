import { statSync } from "node:fs";
import type { Resources, ThrottleDevice } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { CgroupFeatures } from "../kernel/cgroups.ts";
import { deviceNumbers } from "../kernel/nodes.ts";
import { parseDeviceRule } from "./devices.ts";
import type { DeviceRule, LinuxResources, ThrottledDevice } from "./spec-types.ts";

const CFS_PERIOD = 100_000;

/** What cannot be had is left out, as `checkResources` warned: the runtimes refuse to start a container with it. */
export type ResourceSupport = Pick<
  CgroupFeatures,
  "swapLimit" | "memorySwappiness" | "oomKillDisable" | "blkioWeight" | "blkioThrottle"
>;

/** config.json's linux.resources. `rules` come after the general refusal of all devices. */
export function specResources(
  resources: Resources,
  support: ResourceSupport,
  { rules, privileged }: { readonly rules: readonly DeviceRule[]; readonly privileged: boolean },
): LinuxResources {
  const custom = (resources.DeviceCgroupRules ?? []).map(parseDeviceRule);
  return {
    devices: privileged ? [{ allow: true, access: "rwm" }] : [{ allow: false, access: "rwm" }, ...rules, ...custom],
    ...section("memory", memory(resources, support)),
    ...section("cpu", cpu(resources)),
    ...section("pids", resources.PidsLimit && resources.PidsLimit > 0 ? { limit: resources.PidsLimit } : {}),
    ...section("blockIO", blockIO(resources, support)),
  } as LinuxResources;
}

function section(name: string, values: object): object {
  return Object.keys(values).length === 0 ? {} : { [name]: values };
}

function memory(resources: Resources, support: ResourceSupport): NonNullable<LinuxResources["memory"]> {
  const { Memory: limit = 0, MemoryReservation = 0, OomKillDisable } = resources;
  const swappiness = resources.MemorySwappiness ?? -1;
  const swap = swapOf(resources);
  return {
    ...(limit > 0 ? { limit } : {}),
    ...(MemoryReservation > 0 ? { reservation: MemoryReservation } : {}),
    ...(support.swapLimit && swap !== 0 ? { swap } : {}),
    ...(support.memorySwappiness && swappiness >= 0 ? { swappiness } : {}),
    ...(support.oomKillDisable && OomKillDisable ? { disableOOMKiller: true } : {}),
  };
}

/** Memory and swap together, in bytes; -1: unlimited; 0: not limited. A limit on memory alone allows as much swap again. */
export function swapOf({ Memory = 0, MemorySwap = 0 }: Resources): number {
  return MemorySwap === 0 && Memory > 0 ? 2 * Memory : MemorySwap;
}

/** `--cpus` is a quota in the standard period. */
export function cpuQuotaOf({ NanoCpus = 0, CpuPeriod = 0, CpuQuota = 0 }: Resources): {
  period: number;
  quota: number;
} {
  if (NanoCpus > 0) return { period: CFS_PERIOD, quota: Math.floor((NanoCpus * CFS_PERIOD) / 1e9) };
  return { period: CpuPeriod, quota: CpuQuota };
}

function cpu(resources: Resources): NonNullable<LinuxResources["cpu"]> {
  const { period, quota } = cpuQuotaOf(resources);
  const { CpuShares = 0, CpuRealtimePeriod = 0, CpuRealtimeRuntime = 0, CpusetCpus, CpusetMems } = resources;
  return {
    ...(CpuShares !== 0 ? { shares: CpuShares } : {}),
    ...(period !== 0 ? { period } : {}),
    ...(quota !== 0 ? { quota } : {}),
    ...(CpuRealtimePeriod !== 0 ? { realtimePeriod: CpuRealtimePeriod } : {}),
    ...(CpuRealtimeRuntime !== 0 ? { realtimeRuntime: CpuRealtimeRuntime } : {}),
    ...(CpusetCpus ? { cpus: CpusetCpus } : {}),
    ...(CpusetMems ? { mems: CpusetMems } : {}),
  };
}

function blockIO(
  resources: Resources,
  { blkioWeight, blkioThrottle }: ResourceSupport,
): NonNullable<LinuxResources["blockIO"]> {
  const weight = blkioWeight ? (resources.BlkioWeight ?? 0) : 0;
  const weights = blkioWeight ? (resources.BlkioWeightDevice ?? []) : [];
  const throttles = {
    throttleReadBpsDevice: throttled(resources.BlkioDeviceReadBps),
    throttleWriteBpsDevice: throttled(resources.BlkioDeviceWriteBps),
    throttleReadIOPSDevice: throttled(resources.BlkioDeviceReadIOps),
    throttleWriteIOPSDevice: throttled(resources.BlkioDeviceWriteIOps),
  };
  return {
    ...(weight > 0 ? { weight } : {}),
    ...(weights.length > 0
      ? { weightDevice: weights.map(({ Path = "", Weight = 0 }) => ({ ...blockDevice(Path), weight: Weight })) }
      : {}),
    ...(blkioThrottle ? Object.fromEntries(Object.entries(throttles).filter(([, list]) => list.length > 0)) : {}),
  };
}

function throttled(devices: readonly ThrottleDevice[] = []): ThrottledDevice[] {
  return (devices ?? []).map(({ Path = "", Rate = 0 }) => ({ ...blockDevice(Path), rate: Rate }));
}

function blockDevice(path: string): { major: number; minor: number } {
  try {
    return deviceNumbers(statSync(path).rdev);
  } catch {
    throw new EngineError("invalid", `${path}: no such file or directory`);
  }
}
