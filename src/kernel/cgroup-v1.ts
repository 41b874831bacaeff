import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ContainerBlkioStatEntry } from "../api/types/container.ts";
import { errnoOf } from "../base/errors.ts";
import {
  groupFolder,
  killGroup,
  readKnob,
  readNumber,
  readPids,
  readTable,
  removeGroup,
  settle,
  writeKnob,
} from "./cgroup-files.ts";
import { cgroupWarmer } from "./cgroup-warm.ts";
import type { CgroupFeatures, CgroupLimits, CgroupStats, CgroupTree } from "./cgroups.ts";

/** Nanoseconds of one tick in cpuacct.stat: USER_HZ is 100 on every architecture we run on. */
const TICK = 1e7;

const THAW_EVERY = 6;

/** `controllers`: name to the root folder of its hierarchy. `unified`: where a hybrid machine has its v2 tree, in which runc makes groups too. */
export function v1Tree(controllers: ReadonlyMap<string, string>, unified: string): CgroupTree {
  const folder = (controller: string, path: string) => {
    const root = controllers.get(controller);
    return root === undefined ? undefined : groupFolder(root, path);
  };
  const roots = [...new Set(controllers.values())];
  /** Every container is in every hierarchy, so one of them tells who is in it. */
  const members = (path: string) =>
    folder("freezer", path) ?? folder("pids", path) ?? groupFolder(roots[0] ?? "", path);
  const freezer = (path: string) => {
    const found = folder("freezer", path);
    if (found === undefined) throw new Error("the freezer controller is not mounted");
    return found;
  };
  return {
    version: 1,
    hybrid: readKnob(unified, "cgroup.controllers").trim() !== "",
    features: features(controllers),
    exists: (path) => existsSync(members(path)),
    pids: (path) => readPids(members(path)),
    stats: (path) => stats((controller) => folder(controller, path)),
    async freeze(path) {
      const at = freezer(path);
      let looks = 0;
      // A multi-threaded process that is just executing a program (runc's init) waits for threads that are frozen already, and so
      // the group stays in FREEZING for good: every now and then it is let go until the next look.
      const frozen = () => {
        const pause = ++looks % THAW_EVERY === 0;
        writeKnob(at, "freezer.state", pause ? "THAWED" : "FROZEN");
        return !pause && readKnob(at, "freezer.state").trim() === "FROZEN";
      };
      await settle(frozen, () => writeKnob(at, "freezer.state", "THAWED"));
    },
    async thaw(path) {
      writeKnob(freezer(path), "freezer.state", "THAWED");
    },
    killAll(path) {
      killGroup(members(path));
      const frozen = folder("freezer", path);
      if (frozen !== undefined && !["", "THAWED"].includes(readKnob(frozen, "freezer.state").trim())) {
        writeKnob(frozen, "freezer.state", "THAWED");
      }
    },
    update: (path, limits) => update((controller) => folder(controller, path), limits),
    oomFile(path) {
      const memory = folder("memory", path);
      return memory === undefined ? undefined : join(memory, "memory.oom_control");
    },
    delegate() {},
    warm: cgroupWarmer(controllers.get("freezer") ?? "", "freezer"),
    remove: (path) => [...roots, unified].map((root) => removeGroup(groupFolder(root, path))).every(Boolean),
  };
}

function features(controllers: ReadonlyMap<string, string>): CgroupFeatures {
  const has = (controller: string, file: string) => {
    const root = controllers.get(controller);
    return root !== undefined && existsSync(join(root, file));
  };
  const blkio = controllers.get("blkio") !== undefined;
  return Object.freeze({
    memoryLimit: has("memory", "memory.limit_in_bytes"),
    memoryReservation: has("memory", "memory.soft_limit_in_bytes"),
    memorySwappiness: has("memory", "memory.swappiness"),
    swapLimit: has("memory", "memory.memsw.limit_in_bytes"),
    oomKillDisable: has("memory", "memory.oom_control"),
    kernelMemoryTcp: has("memory", "memory.kmem.tcp.limit_in_bytes"),
    cpuShares: has("cpu", "cpu.shares"),
    cpuCfs: has("cpu", "cpu.cfs_quota_us"),
    cpuRealtime: has("cpu", "cpu.rt_runtime_us"),
    cpuset: controllers.has("cpuset"),
    cpus: readKnob(controllers.get("cpuset"), "cpuset.cpus").trim(),
    mems: readKnob(controllers.get("cpuset"), "cpuset.mems").trim(),
    blkioWeight: has("blkio", "blkio.weight") || has("blkio", "blkio.bfq.weight"),
    blkioThrottle: blkio && has("blkio", "blkio.throttle.read_bps_device"),
    pidsLimit: controllers.has("pids"),
    devices: controllers.has("devices"),
  });
}

type FolderOf = (controller: string) => string | undefined;

function stats(folder: FolderOf): CgroupStats {
  return {
    pids_stats: present({
      current: readNumber(folder("pids"), "pids.current"),
      limit: readNumber(folder("pids"), "pids.max"),
    }),
    cpu_stats: cpuStats(folder),
    memory_stats: memoryStats(folder("memory")),
    blkio_stats: {
      io_service_bytes_recursive: blkio(folder("blkio"), "blkio.throttle.io_service_bytes_recursive"),
      io_serviced_recursive: blkio(folder("blkio"), "blkio.throttle.io_serviced_recursive"),
      io_queue_recursive: [],
      io_service_time_recursive: [],
      io_wait_time_recursive: [],
      io_merged_recursive: [],
      io_time_recursive: [],
      sectors_recursive: [],
    },
  };
}

function cpuStats(folder: FolderOf): CgroupStats["cpu_stats"] {
  const accounted = readTable(folder("cpuacct"), "cpuacct.stat");
  const throttling = readTable(folder("cpu"), "cpu.stat");
  const perCpu = readKnob(folder("cpuacct"), "cpuacct.usage_percpu").trim();
  return {
    cpu_usage: {
      total_usage: readNumber(folder("cpuacct"), "cpuacct.usage") ?? 0,
      percpu_usage: perCpu === "" ? [] : perCpu.split(" ").map(Number),
      usage_in_kernelmode: (accounted.system ?? 0) * TICK,
      usage_in_usermode: (accounted.user ?? 0) * TICK,
    },
    throttling_data: {
      periods: throttling.nr_periods ?? 0,
      throttled_periods: throttling.nr_throttled ?? 0,
      throttled_time: throttling.throttled_time ?? 0,
    },
  };
}

function memoryStats(folder: string | undefined): CgroupStats["memory_stats"] {
  return present({
    usage: readNumber(folder, "memory.usage_in_bytes"),
    max_usage: readNumber(folder, "memory.max_usage_in_bytes"),
    stats: readTable(folder, "memory.stat"),
    failcnt: readNumber(folder, "memory.failcnt"),
    limit: readNumber(folder, "memory.limit_in_bytes"),
  });
}

/** "8:0 Read 4096" per line; the grand total has no device. */
function blkio(folder: string | undefined, file: string): ContainerBlkioStatEntry[] {
  return readKnob(folder, file)
    .split("\n")
    .map((line) => /^(\d+):(\d+) (\w+) (\d+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, major, minor, op, value]) => ({
      major: Number(major),
      minor: Number(minor),
      op: op ?? "",
      value: Number(value),
    }));
}

/** The object without its undefined members. */
function present<T extends object>(values: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

type SimpleKnob = readonly [limit: keyof CgroupLimits, controller: string, file: string];

const SIMPLE: readonly SimpleKnob[] = [
  ["cpuShares", "cpu", "cpu.shares"],
  ["cpuPeriod", "cpu", "cpu.cfs_period_us"],
  ["cpuQuota", "cpu", "cpu.cfs_quota_us"],
  ["cpusetCpus", "cpuset", "cpuset.cpus"],
  ["cpusetMems", "cpuset", "cpuset.mems"],
  ["memoryReservation", "memory", "memory.soft_limit_in_bytes"],
];

function update(folder: FolderOf, limits: CgroupLimits): void {
  for (const [name, controller, file] of SIMPLE) {
    const value = limits[name];
    const at = folder(controller);
    if (value !== undefined && at !== undefined) writeKnob(at, file, value);
  }
  updateMemory(folder("memory"), limits);
  const pids = folder("pids");
  if (limits.pids !== undefined && pids !== undefined)
    writeKnob(pids, "pids.max", limits.pids < 0 ? "max" : limits.pids);
  updateWeight(folder("blkio"), limits.blkioWeight);
}

/** The sum of memory and swap may never be below memory, so the order depends on the direction: try one, then the other. */
function updateMemory(folder: string | undefined, { memory, memorySwap }: CgroupLimits): void {
  if (folder === undefined) return;
  const writeMemory = () => memory !== undefined && writeKnob(folder, "memory.limit_in_bytes", memory);
  const writeSwap = () => {
    const file = "memory.memsw.limit_in_bytes";
    if (memorySwap !== undefined && existsSync(join(folder, file))) writeKnob(folder, file, memorySwap);
  };
  try {
    writeMemory();
    writeSwap();
  } catch (error) {
    if (errnoOf(error) !== "EINVAL") throw error;
    writeSwap();
    writeMemory();
  }
}

function updateWeight(folder: string | undefined, weight: number | undefined): void {
  if (folder === undefined || weight === undefined) return;
  const file = ["blkio.weight", "blkio.bfq.weight"].find((name) => existsSync(join(folder, name)));
  if (file !== undefined) writeKnob(folder, file, weight);
}
