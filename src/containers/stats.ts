import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContainerNetworkStats, ContainerStats } from "../api/types/container.ts";
import { timestamp, ZERO_TIME } from "../base/time.ts";
import { cgroupPath } from "../kernel/cgroups.ts";
import { readStats } from "../runtime/stats.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";

export interface StatsOptions {
  readonly stream: boolean;
  readonly oneShot: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A sample a second while streaming; once otherwise, with a second one to compare unless `oneShot`. Ends when the container is gone. */
export async function* containerStats(
  context: Context,
  container: Container,
  options: StatsOptions,
): AsyncGenerator<ContainerStats> {
  let before: ContainerStats | undefined;
  if (!options.stream && !options.oneShot) {
    before = sample(context, container, undefined);
    await pause(options.signal);
  }
  while (!options.signal?.aborted && context.registry.has(container.id)) {
    const now = sample(context, container, before);
    yield now;
    if (!options.stream) return;
    before = now;
    await pause(options.signal);
  }
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  await sleep(1000, undefined, signal === undefined ? {} : { signal }).catch(() => {});
}

function sample(context: Context, container: Container, before: ContainerStats | undefined): ContainerStats {
  const { id, name, state, definition } = container;
  const base = { name: `/${name}`, id, preread: before?.read ?? ZERO_TIME };
  if (state.pid === 0)
    return {
      ...base,
      read: ZERO_TIME,
      pids_stats: {},
      cpu_stats: {},
      precpu_stats: {},
      memory_stats: {},
      blkio_stats: {},
    };
  const path = cgroupPath(definition.hostConfig.CgroupParent || context.settings.cgroupParent, id);
  return {
    ...base,
    read: timestamp(),
    ...readStats(context.cgroups, path, context.host),
    precpu_stats: before?.cpu_stats ?? {},
    networks: networkStats(state.pid),
  };
}

/** From /proc/<pid>/net/dev, which shows the container's own interfaces. */
function networkStats(pid: number): Record<string, ContainerNetworkStats> {
  let text = "";
  try {
    text = readFileSync(`/proc/${pid}/net/dev`, "utf8");
  } catch {
    // It has ended.
  }
  const interfaces: Record<string, ContainerNetworkStats> = {};
  for (const line of text.split("\n").slice(2)) {
    const [name = "", figures = ""] = line.split(":");
    if (figures === "" || name.trim() === "lo") continue;
    const [rx_bytes, rx_packets, rx_errors, rx_dropped, , , , , tx_bytes, tx_packets, tx_errors, tx_dropped] = figures
      .trim()
      .split(/\s+/)
      .map(Number);
    interfaces[name.trim()] = {
      rx_bytes,
      rx_packets,
      rx_errors,
      rx_dropped,
      tx_bytes,
      tx_packets,
      tx_errors,
      tx_dropped,
    };
  }
  return interfaces;
}
