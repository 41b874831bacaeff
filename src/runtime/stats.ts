import { readFileSync } from "node:fs";
import type { ContainerStats } from "../api/types/container.ts";
import type { CgroupTree } from "../kernel/cgroups.ts";
import type { Host } from "../kernel/host.ts";

type Sample = Pick<ContainerStats, "pids_stats" | "blkio_stats" | "cpu_stats" | "memory_stats" | "num_procs">;

/** Nanoseconds of one tick in /proc/stat. */
const TICK = 1e7;

/** What the group has used up to now, with the machine's own figures beside it that clients divide by. */
export function readStats(
  cgroups: Pick<CgroupTree, "stats">,
  path: string,
  host: Pick<Host, "cpus" | "memory">,
): Sample {
  const { cpu_stats, memory_stats, ...rest } = cgroups.stats(path);
  return {
    ...rest,
    num_procs: 0,
    cpu_stats: {
      ...cpu_stats,
      system_cpu_usage: machineCpu(readFileSync("/proc/stat", "utf8")),
      online_cpus: host.cpus,
    },
    memory_stats: { ...memory_stats, limit: Math.min(memory_stats.limit ?? host.memory, host.memory) },
  };
}

/** Processor time of the whole machine in nanoseconds: the first seven columns, as later ones are counted in them already. */
export function machineCpu(procStat: string): number {
  const [, ...columns] = (procStat.split("\n", 1)[0] ?? "").split(/\s+/);
  return columns.slice(0, 7).reduce((sum, column) => sum + Number(column), 0) * TICK;
}
