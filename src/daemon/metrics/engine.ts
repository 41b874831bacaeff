/** What the engine has and what happened in it. */
import { statfs } from "node:fs/promises";
import { Counter, type Family, family, type Labels } from "../../base/exposition.ts";
import type { Engine } from "../../engine/engine.ts";

const STATES = ["created", "running", "paused", "restarting", "exited", "removing", "dead"] as const;
/** dockerd knows three. */
const DOCKER_STATES = {
  running: ["running", "restarting"],
  paused: ["paused"],
  stopped: ["created", "exited", "removing", "dead"],
};
const HEALTH = ["starting", "healthy", "unhealthy"] as const;

/** Figures of this moment. */
export async function engineMetrics(engine: Engine, dataRoot: string): Promise<Family[]> {
  const list = (filters: Readonly<Record<string, readonly string[]>>) =>
    engine.containers.list({ all: true, size: false, filters });
  const [info, all, disk, ...health] = await Promise.all([
    engine.system.info(),
    list({}),
    statfs(dataRoot),
    ...HEALTH.map((status) => list({ health: [status] })),
  ]);
  const inState = (states: readonly string[]) => all.filter(({ State }) => states.includes(State ?? "")).length;
  return [
    family("engine_daemon_engine_info", "gauge", "The engine and the machine it runs on.", [[describe(info), 1]]),
    family("engine_daemon_engine_cpus_cpus", "gauge", "Processors of the machine.", info.NCPU ?? 0),
    family("engine_daemon_engine_memory_bytes", "gauge", "Memory of the machine.", info.MemTotal ?? 0),
    family(
      "engine_daemon_container_states_containers",
      "gauge",
      "Containers by state.",
      Object.entries(DOCKER_STATES).map(([state, states]) => [{ state }, inState(states)]),
    ),
    family(
      "gantry_containers",
      "gauge",
      "Containers by state, each by its own name.",
      STATES.map((state) => [{ state }, inState([state])]),
    ),
    family(
      "gantry_containers_health",
      "gauge",
      "Containers with a health check, by what it said last.",
      HEALTH.map((status, at) => [{ status }, health[at]?.length ?? 0]),
    ),
    family("gantry_images", "gauge", "Images.", info.Images ?? 0),
    family("gantry_networks", "gauge", "Networks.", engine.networks.list().length),
    family("gantry_volumes", "gauge", "Volumes.", engine.volumes.list().length),
    family(
      "gantry_data_root_size_bytes",
      "gauge",
      "Size of the file system of the data root.",
      disk.blocks * disk.bsize,
    ),
    family("gantry_data_root_free_bytes", "gauge", "What of it may still be written.", disk.bavail * disk.bsize),
    family("engine_daemon_events_subscribers_total", "gauge", "Clients that follow events.", info.NEventsListener ?? 0),
  ];
}

type Info = Awaited<ReturnType<Engine["system"]["info"]>>;

function describe(info: Info): Labels {
  return {
    architecture: info.Architecture ?? "",
    commit: "",
    daemon_id: info.ID ?? "",
    graphdriver: info.Driver ?? "",
    kernel: info.KernelVersion ?? "",
    os: info.OperatingSystem ?? "",
    os_type: info.OSType ?? "",
    os_version: info.OSVersion ?? "",
    version: info.ServerVersion ?? "",
  };
}

export interface EventMetrics extends Disposable {
  read(): Family[];
}

/** Counts events from now on. */
export function eventMetrics(engine: Engine): EventMetrics {
  const total = new Counter("engine_daemon_events_total", "Events.");
  const events = new Counter("gantry_events_total", "Events by type and action.");
  const exits = new Counter("gantry_container_exits_total", "Containers that ended, by how.");
  const health = new Counter("gantry_health_changes_total", "Changes of containers' health, by what it became.");
  total.add({}, 0);
  for (const outcome of ["success", "failure"]) exits.add({ outcome }, 0);
  for (const status of HEALTH.slice(1)) health.add({ status }, 0);
  const ending = new AbortController();
  void follow();
  return {
    read: () => [total.read(), events.read(), exits.read(), health.read()],
    [Symbol.dispose]: () => ending.abort(),
  };

  /** Who falls behind is cut off by the bus, and comes again. */
  async function follow(): Promise<void> {
    while (!ending.signal.aborted)
      for await (const { Type, Action, Actor } of engine.events.subscribe({ filters: {}, signal: ending.signal })) {
        // "exec_create: sh -c …", "health_status: healthy": the word before is the action.
        const [action = "", detail = ""] = Action.split(": ", 2);
        total.add();
        events.add({ type: Type, action });
        if (Type === "container" && action === "die")
          exits.add({ outcome: Actor.Attributes.exitCode === "0" ? "success" : "failure" });
        if (action === "health_status") health.add({ status: detail });
      }
  }
}
