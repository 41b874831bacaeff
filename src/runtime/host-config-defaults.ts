import type { HostConfig } from "../api/types/container.ts";
import { MASKED_PATHS, READONLY_PATHS } from "./protected-paths.ts";
import { swapOf } from "./resources.ts";

export interface HostConfigDefaults {
  /** Bytes. */
  readonly shmSize: number;
  readonly ipcMode: "private" | "shareable";
  /** Undefined: "private" on cgroup v2, "host" on v1. */
  readonly cgroupnsMode: "private" | "host" | undefined;
  readonly cgroupVersion: 1 | 2;
  readonly runtime: string;
}

const MINIMUM_SHARES = 2;
const MAXIMUM_SHARES = 262144;

/** What Docker fills in when a container is made, as `inspect` shows it. Call after validation. */
export function fillHostConfig(hostConfig: HostConfig, defaults: HostConfigDefaults): HostConfig {
  const { Privileged = false, CpuShares = 0 } = hostConfig;
  const unconfined = (hostConfig.SecurityOpt ?? []).includes("systempaths=unconfined");
  const open = Privileged || unconfined;
  return {
    ...hostConfig,
    CpuShares: CpuShares === 0 ? 0 : Math.min(MAXIMUM_SHARES, Math.max(MINIMUM_SHARES, CpuShares)),
    MemorySwap: swapOf(hostConfig),
    ShmSize: hostConfig.ShmSize || defaults.shmSize,
    IpcMode: hostConfig.IpcMode || defaults.ipcMode,
    CgroupnsMode: hostConfig.CgroupnsMode || cgroupnsMode(Privileged, defaults),
    Runtime: hostConfig.Runtime || defaults.runtime,
    MaskedPaths: hostConfig.MaskedPaths ?? (open ? null : [...MASKED_PATHS]),
    ReadonlyPaths: hostConfig.ReadonlyPaths ?? (open ? null : [...READONLY_PATHS]),
  } as HostConfig;
}

/** A privileged container sees the machine's groups unless it says otherwise. */
function cgroupnsMode(privileged: boolean, { cgroupnsMode, cgroupVersion }: HostConfigDefaults): "private" | "host" {
  if (privileged) return "host";
  return cgroupnsMode ?? (cgroupVersion === 2 ? "private" : "host");
}
