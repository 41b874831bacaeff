import type { Resources } from "../api/types/container.ts";
import type { CgroupFeatures, CgroupLimits } from "../kernel/cgroups.ts";
import { cpuQuotaOf } from "./resources.ts";

/** What of an update concerns the cgroup. Zero and absent: as it was, as in Docker's API. */
export function limitsOf(resources: Resources, features: Pick<CgroupFeatures, "swapLimit">): CgroupLimits {
  const { period, quota } = cpuQuotaOf(resources);
  const given = <T extends number | string>(value: T | null | undefined) => value || undefined;
  return {
    cpuShares: given(resources.CpuShares),
    cpuPeriod: given(period),
    cpuQuota: given(quota),
    cpusetCpus: given(resources.CpusetCpus),
    cpusetMems: given(resources.CpusetMems),
    memory: given(resources.Memory),
    memorySwap: features.swapLimit ? given(resources.MemorySwap) : undefined,
    memoryReservation: given(resources.MemoryReservation),
    pids: resources.PidsLimit === 0 ? -1 : given(resources.PidsLimit),
    blkioWeight: given(resources.BlkioWeight),
  };
}
