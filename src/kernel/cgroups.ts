/**
 * Control groups, version 1 and 2 behind one interface. The OCI runtime makes a container's group and puts its processes in;
 * here they are read, frozen, changed and cleared away, without a process of their own for it.
 *
 * A `path` is that of the group from the root of the tree ("/gantry/<id>"): one folder on v2, one per controller on v1.
 * Hybrid machines (v1 controllers, and a v2 tree without them at `unified`) are v1 to us.
 */
import { existsSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import type { ContainerStats } from "../api/types/container.ts";
import { v1Tree } from "./cgroup-v1.ts";
import { v2Tree } from "./cgroup-v2.ts";

export interface CgroupFeatures {
  readonly memoryLimit: boolean;
  readonly memoryReservation: boolean;
  readonly memorySwappiness: boolean;
  readonly swapLimit: boolean;
  readonly oomKillDisable: boolean;
  readonly kernelMemoryTcp: boolean;
  readonly cpuShares: boolean;
  /** Quota and period. */
  readonly cpuCfs: boolean;
  readonly cpuRealtime: boolean;
  readonly cpuset: boolean;
  /** What a cpuset may name: "0-3"; empty when unknown. */
  readonly cpus: string;
  readonly mems: string;
  readonly blkioWeight: boolean;
  readonly blkioThrottle: boolean;
  readonly pidsLimit: boolean;
  readonly devices: boolean;
}

/** Undefined: leave as it is. */
export interface CgroupLimits {
  readonly cpuShares?: number | undefined;
  /** Microseconds; quota -1: unlimited. */
  readonly cpuPeriod?: number | undefined;
  readonly cpuQuota?: number | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  /** Bytes; -1: unlimited. */
  readonly memory?: number | undefined;
  /** Memory and swap together; -1: unlimited. */
  readonly memorySwap?: number | undefined;
  readonly memoryReservation?: number | undefined;
  /** -1: unlimited. */
  readonly pids?: number | undefined;
  readonly blkioWeight?: number | undefined;
}

export type CgroupStats = {
  [K in "pids_stats" | "blkio_stats" | "cpu_stats" | "memory_stats"]: NonNullable<ContainerStats[K]>;
};

export interface CgroupTree {
  readonly version: 1 | 2;
  /** v1 with a v2 tree beside it that has controllers; crun refuses to run where it sees that. */
  readonly hybrid: boolean;
  readonly features: CgroupFeatures;
  exists(path: string): boolean;
  /** Processes in the group and below; empty when it is gone. */
  pids(path: string): number[];
  /** Without processor total of the machine and host memory: see `readStats` in runtime/. Missing files count as nothing. */
  stats(path: string): CgroupStats;
  /** Resolves when every process stands still. Rejects with ENOENT when the group is gone. */
  freeze(path: string): Promise<void>;
  thaw(path: string): Promise<void>;
  /** Kills every process, also those that are being forked meanwhile, and frozen ones. Does not wait for them to end. */
  killAll(path: string): void;
  /** Writes limits; throws the kernel's error (EINVAL, EBUSY: below what is used). */
  update(path: string, limits: CgroupLimits): void;
  /** The file that counts "oom_kill N"; undefined where memory is not accounted. */
  oomFile(path: string): string | undefined;
  /** Makes sure that groups can be limited, inside a container too; may move processes for it. Throws when they cannot. */
  delegate(): void;
  /** Says that a process is about to be put into a group: makes that quick. Returns at once; see cgroup-warm.ts. */
  warm(): void;
  /** Removes the group and those below it. False when a process is still inside (or dying). Idempotent. */
  remove(path: string): boolean;
}

/** The tree of this machine, or one below a given folder (for tests). Throws when there is none. */
export function openCgroups(root = "/sys/fs/cgroup"): CgroupTree {
  if (existsSync(join(root, "cgroup.controllers"))) return v2Tree(root);
  const controllers = v1Controllers(root);
  if (controllers.size === 0) throw new Error(`No control groups are mounted at ${root}`);
  return v1Tree(controllers, join(root, "unified"));
}

/** Controller to the folder of its hierarchy; "cpu,cpuacct" counts for both. */
function v1Controllers(root: string): Map<string, string> {
  const controllers = new Map<string, string>();
  for (const name of existsSync(root) ? readdirSync(root) : []) {
    const folder = join(root, name);
    if (!existsSync(join(folder, "tasks"))) continue;
    for (const controller of name.split(",")) controllers.set(controller, folder);
  }
  return controllers;
}

/** The group of a container below its parent; ".." cannot lead out of the tree. */
export function cgroupPath(parent: string | undefined, id: string): string {
  return posix.join(posix.normalize(`/${parent || "gantry"}`), id);
}
