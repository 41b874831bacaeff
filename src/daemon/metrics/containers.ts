/** What each running container uses, as `stats` says it. */
import { setImmediate as turn } from "node:timers/promises";
import type { ContainerStats } from "../../api/types/container.ts";
import { type Family, family, type Labels } from "../../base/exposition.ts";
import type { Engine } from "../../engine/engine.ts";

/** Name, kind, help and how it is read; undefined where the kernel does not say. */
const FIGURES: readonly (readonly [
  string,
  "counter" | "gauge",
  string,
  (stats: ContainerStats) => number | null | undefined,
])[] = [
  [
    "gantry_container_cpu_seconds_total",
    "counter",
    "Processor time.",
    ({ cpu_stats }) => seconds(cpu_stats?.cpu_usage?.total_usage),
  ],
  [
    "gantry_container_cpu_throttled_seconds_total",
    "counter",
    "Time that its quota kept it waiting.",
    ({ cpu_stats }) => seconds(cpu_stats?.throttling_data?.throttled_time),
  ],
  [
    "gantry_container_memory_bytes",
    "gauge",
    "Memory without the cache that can go at once.",
    ({ memory_stats }) => used(memory_stats),
  ],
  [
    "gantry_container_memory_limit_bytes",
    "gauge",
    "Its memory limit, or the machine's memory.",
    ({ memory_stats }) => memory_stats?.limit,
  ],
  ["gantry_container_pids", "gauge", "Processes and threads.", ({ pids_stats }) => pids_stats?.current],
  [
    "gantry_container_network_receive_bytes_total",
    "counter",
    "Bytes received.",
    ({ networks }) => sum(networks, "rx_bytes"),
  ],
  [
    "gantry_container_network_transmit_bytes_total",
    "counter",
    "Bytes sent.",
    ({ networks }) => sum(networks, "tx_bytes"),
  ],
  [
    "gantry_container_block_read_bytes_total",
    "counter",
    "Bytes read from devices.",
    ({ blkio_stats }) => moved(blkio_stats, "read"),
  ],
  [
    "gantry_container_block_write_bytes_total",
    "counter",
    "Bytes written to devices.",
    ({ blkio_stats }) => moved(blkio_stats, "write"),
  ],
];

/** One container after the other, so that nothing else waits for long. */
export async function containerMetrics(engine: Engine): Promise<Family[]> {
  const running = await engine.containers.list({ all: false, size: false, filters: {} });
  const read: { readonly labels: Labels; readonly stats: ContainerStats; readonly restarts: number }[] = [];
  for (const { Id = "", Names, Image = "" } of running) {
    await turn();
    const labels = { id: Id.slice(0, 12), name: (Names?.[0] ?? "").slice(1), image: Image };
    // One that has ended since is left out.
    const one = await Promise.all([sample(engine, Id), engine.containers.inspect(Id, { size: false })]).catch(
      () => undefined,
    );
    if (one?.[0] !== undefined) read.push({ labels, stats: one[0], restarts: one[1].RestartCount ?? 0 });
  }
  return [
    ...FIGURES.map(([name, type, help, of]) =>
      family(
        name,
        type,
        help,
        read.flatMap(({ labels, stats }) => {
          const value = of(stats);
          return value == null ? [] : [[labels, value] as const];
        }),
      ),
    ),
    family(
      "gantry_container_restarts_total",
      "counter",
      "How often its restart policy started it again.",
      read.map(({ labels, restarts }) => [labels, restarts] as const),
    ),
  ];
}

async function sample(engine: Engine, id: string): Promise<ContainerStats | undefined> {
  for await (const stats of engine.containers.stats(id, { stream: false, oneShot: true })) return stats;
  return undefined;
}

const seconds = (nanoseconds: number | null | undefined) => (nanoseconds == null ? undefined : nanoseconds / 1e9);

/** As the docker CLI computes it. */
function used(memory: ContainerStats["memory_stats"]): number | undefined {
  if (memory?.usage == null) return undefined;
  const cache = memory.stats?.total_inactive_file ?? memory.stats?.inactive_file ?? 0;
  return cache < memory.usage ? memory.usage - cache : memory.usage;
}

function sum(networks: ContainerStats["networks"], key: "rx_bytes" | "tx_bytes"): number | undefined {
  if (networks == null) return undefined;
  return Object.values(networks).reduce((total, one) => total + (one[key] ?? 0), 0);
}

function moved(blkio: ContainerStats["blkio_stats"], operation: string): number | undefined {
  const entries = blkio?.io_service_bytes_recursive;
  if (!entries) return undefined;
  return entries.reduce((total, { op = "", value = 0 }) => total + (op.toLowerCase() === operation ? value : 0), 0);
}
