import type { Resources } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { CgroupFeatures } from "../kernel/cgroups.ts";
import type { Host } from "../kernel/host.ts";

export interface ResourceContext {
  readonly features: CgroupFeatures;
  readonly host: Pick<Host, "cpus">;
}

const MINIMUM_MEMORY = 6 * 1024 * 1024;

/** Throws "invalid" with Docker's texts; returns its warnings for what is asked for and cannot be. */
export function checkResources(resources: Resources, context: ResourceContext): string[] {
  return [memory, pids, cpu, cpuset, blockIO].flatMap((check) => check(resources, context));
}

type Check = (resources: Resources, context: ResourceContext) => string[];

const memory: Check = (resources, { features }) => {
  const { Memory = 0, MemorySwap = 0, MemoryReservation = 0, OomKillDisable } = resources;
  const swappiness = resources.MemorySwappiness ?? -1;
  const limited = Memory > 0;
  refuse(Memory !== 0 && Memory < MINIMUM_MEMORY, "Minimum memory limit allowed is 6MB");
  refuse(
    limited && MemorySwap > 0 && MemorySwap < Memory,
    "Minimum memoryswap limit should be larger than memory limit, see usage",
  );
  refuse(
    Memory === 0 && MemorySwap > 0,
    "You should always set the Memory limit when using Memoryswap limit, see usage",
  );
  refuse(swappiness < -1 || swappiness > 100, `Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  refuse(MemoryReservation > 0 && MemoryReservation < MINIMUM_MEMORY, "Minimum memory reservation allowed is 6MB");
  refuse(
    limited && MemoryReservation > 0 && Memory < MemoryReservation,
    "Minimum memory limit can not be less than memory reservation limit, see usage",
  );
  return warnings([
    [
      limited && !features.memoryLimit,
      "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
    ],
    [
      limited && MemorySwap !== -1 && features.memoryLimit && !features.swapLimit,
      "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
    ],
    [
      swappiness !== -1 && !features.memorySwappiness,
      "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
    ],
    [
      MemoryReservation > 0 && !features.memoryReservation,
      "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
    ],
    [
      OomKillDisable === true && !features.oomKillDisable,
      "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    ],
    [
      OomKillDisable === true && features.oomKillDisable && Memory === 0,
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    ],
  ]);
};

const pids: Check = ({ PidsLimit }, { features }) =>
  warnings([
    [
      Boolean(PidsLimit) && !features.pidsLimit,
      "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
    ],
  ]);

const cpu: Check = (resources, { features, host }) => {
  const { NanoCpus = 0, CpuPeriod = 0, CpuQuota = 0, CpuShares = 0 } = resources;
  refuse(NanoCpus > 0 && CpuPeriod > 0, "Conflicting options: Nano CPUs and CPU Period cannot both be set");
  refuse(NanoCpus > 0 && CpuQuota > 0, "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  refuse(
    NanoCpus > 0 && !features.cpuCfs,
    "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
  );
  // The highest number is what the host has: more could never be given.
  refuse(
    NanoCpus < 0 || NanoCpus > host.cpus * 1e9,
    `range of CPUs is from 0.01 to ${host.cpus}.00, as there are only ${host.cpus} CPUs available`,
  );
  refuse(
    features.cpuCfs && CpuPeriod !== 0 && (CpuPeriod < 1000 || CpuPeriod > 1_000_000),
    "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
  );
  const { CpuRealtimePeriod = 0, CpuRealtimeRuntime = 0 } = resources;
  refuse(
    (CpuRealtimePeriod !== 0 || CpuRealtimeRuntime !== 0) && !features.cpuRealtime,
    "kernel does not support CPU real-time scheduler",
  );
  refuse(
    CpuRealtimePeriod !== 0 && CpuRealtimeRuntime > CpuRealtimePeriod,
    "cpu real-time runtime cannot be higher than cpu real-time period",
  );
  refuse(features.cpuCfs && CpuQuota > 0 && CpuQuota < 1000, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
  return warnings([
    [
      CpuShares > 0 && !features.cpuShares,
      "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.",
    ],
    [
      (CpuPeriod !== 0 || CpuQuota !== 0) && !features.cpuCfs,
      "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
    ],
    [(resources.CpuPercent ?? 0) > 0, "linux does not support CPU percent. Percent discarded."],
  ]);
};

const cpuset: Check = ({ CpusetCpus = "", CpusetMems = "" }, { features }) => {
  if ((CpusetCpus || CpusetMems) && !features.cpuset) {
    return ["Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded."];
  }
  checkSet({ wanted: CpusetCpus, available: features.cpus, field: "cpuset cpus", what: "CPUs" });
  checkSet({ wanted: CpusetMems, available: features.mems, field: "cpuset mems", what: "memory nodes" });
  return [];
};

function checkSet({
  wanted,
  available,
  field,
  what,
}: {
  wanted: string;
  available: string;
  field: string;
  what: string;
}): void {
  if (wanted === "") return;
  const numbers = parseSet(wanted);
  refuse(numbers === undefined, `Invalid value ${wanted} for ${field}`);
  const there = parseSet(available);
  if (there === undefined || there.size === 0) return;
  const missing = [...(numbers ?? [])].some((number) => !there.has(number));
  refuse(missing, `Requested ${what} are not available - requested ${wanted}, available: ${available}`);
}

const LARGEST_CPU = 8192;

/** "0-2,7"; undefined when it is none. */
export function parseSet(text: string): Set<number> | undefined {
  const numbers = new Set<number>();
  for (const part of text.split(",")) {
    if (part === "") continue;
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first || last > LARGEST_CPU) return undefined;
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  return numbers;
}

const blockIO: Check = (resources, { features }) => {
  const { BlkioWeight = 0, IOMaximumBandwidth = 0, IOMaximumIOps = 0 } = resources;
  refuse(BlkioWeight > 0 && (BlkioWeight < 10 || BlkioWeight > 1000), "Range of blkio weight is from 10 to 1000");
  refuse(
    IOMaximumBandwidth !== 0 || IOMaximumIOps !== 0,
    "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
  );
  const weights = (resources.BlkioWeightDevice ?? []).length > 0;
  const throttles = (
    ["BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"] as const
  ).some((field) => (resources[field] ?? []).length > 0);
  return warnings([
    [
      BlkioWeight > 0 && !features.blkioWeight,
      "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
    ],
    [
      weights && !features.blkioWeight,
      "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
    ],
    [
      throttles && !features.blkioThrottle,
      "Your kernel does not support Block I/O throttling or the cgroup is not mounted. Throttling discarded.",
    ],
  ]);
};

function refuse(wrong: boolean, message: string): void {
  if (wrong) throw new EngineError("invalid", message);
}

function warnings(table: readonly (readonly [boolean, string])[]): string[] {
  return table.filter(([applies]) => applies).map(([, message]) => message);
}
