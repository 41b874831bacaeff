/** What a container uses, in cells. */
import type { ContainerStats } from "../../api/types/container.ts";
import type { Listing } from "./listing.ts";
import { binarySize, humanSize } from "./sizes.ts";
import { idText } from "./text.ts";

export interface StatsRow {
  /** As the user called it. */
  readonly container: string;
  readonly stats: ContainerStats;
}

export const statsRow = (container: string, stats: ContainerStats): StatsRow => ({ container, stats });

export function statsListing(whole: boolean): Listing<StatsRow> {
  return {
    type: "*container.statsContext",
    shown: ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
    columns: [
      { name: "BlockIO", header: "BLOCK I/O", of: blockText },
      { name: "CPUPerc", header: "CPU %", of: (row) => `${cpuPercent(row).toFixed(2)}%` },
      { name: "Container", header: "CONTAINER", of: ({ container }) => container },
      { name: "ID", header: "CONTAINER ID", of: ({ stats }) => idText(stats.id ?? "", whole) },
      { name: "MemPerc", header: "MEM %", of: (row) => `${memoryPercent(row).toFixed(2)}%` },
      {
        name: "MemUsage",
        header: "MEM USAGE / LIMIT",
        of: (row) => `${binarySize(memory(row))} / ${binarySize(row.stats.memory_stats?.limit ?? 0)}`,
      },
      { name: "Name", header: "NAME", of: ({ stats }) => (stats.name ?? "").replace(/^\//, "") },
      { name: "NetIO", header: "NET I/O", of: networkText },
      { name: "PIDs", header: "PIDS", of: ({ stats }) => String(stats.pids_stats?.current ?? 0) },
    ],
  };
}

/** Of one CPU: two busy ones are 200. */
function cpuPercent({ stats: { cpu_stats: now, precpu_stats: before } }: StatsRow): number {
  const used = (now?.cpu_usage?.total_usage ?? 0) - (before?.cpu_usage?.total_usage ?? 0);
  const passed = (now?.system_cpu_usage ?? 0) - (before?.system_cpu_usage ?? 0);
  const cpus = now?.online_cpus || now?.cpu_usage?.percpu_usage?.length || 1;
  return used > 0 && passed > 0 ? (used / passed) * cpus * 100 : 0;
}

/** Without the file cache that goes first: version 1's total_inactive_file, version 2's inactive_file. */
function memory({ stats: { memory_stats } }: StatsRow): number {
  const usage = memory_stats?.usage ?? 0;
  const cache = memory_stats?.stats?.total_inactive_file ?? memory_stats?.stats?.inactive_file ?? 0;
  return cache < usage ? usage - cache : usage;
}

function memoryPercent(row: StatsRow): number {
  const limit = row.stats.memory_stats?.limit ?? 0;
  return limit === 0 ? 0 : (memory(row) / limit) * 100;
}

function networkText({ stats: { networks } }: StatsRow): string {
  const all = Object.values(networks ?? {});
  const sum = (name: "rx_bytes" | "tx_bytes") => all.reduce((total, one) => total + (one[name] ?? 0), 0);
  return `${humanSize(sum("rx_bytes"), 3)} / ${humanSize(sum("tx_bytes"), 3)}`;
}

function blockText({ stats: { blkio_stats } }: StatsRow): string {
  const entries = blkio_stats?.io_service_bytes_recursive ?? [];
  const sum = (letter: string) =>
    entries.filter(({ op }) => op?.[0]?.toLowerCase() === letter).reduce((total, { value }) => total + (value ?? 0), 0);
  return `${humanSize(sum("r"), 3)} / ${humanSize(sum("w"), 3)}`;
}
