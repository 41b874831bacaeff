/** After a start of the engine: what an earlier one left is found, finished or taken away. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { errorMessage } from "../base/errors.ts";
import { timestamp } from "../base/time.ts";
import type { ExitRecord, Task } from "../runtime/runtime.ts";
import { inBackground } from "./background.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { discard } from "./create.ts";
import { handleExit, scheduleRestart, watchExit } from "./exit.ts";
import { watchHealth } from "./health.ts";
import { releaseRun } from "./release.ts";
import { eraseLocked } from "./remove.ts";
import { wantsStartWithEngine } from "./restart-policy.ts";
import { adopt, startLocked } from "./start.ts";
import { isLive } from "./state.ts";

/** Of a container whose monitor and record are gone: the machine went down, or someone killed everything. */
const LOST_EXIT = 255;

/** Post-condition: states are true, networks and volumes are those of the running containers, nothing unknown is left. */
export async function restoreContainers(context: Context): Promise<void> {
  const { registry, networks, volumes } = context;
  const found = new Map<Container, Found>();
  for (const container of registry.everything()) found.set(container, await find(context, container));
  const running = [...found].filter(([, { task }]) => task !== undefined).map(([container]) => container);
  await networks.restore(new Set(running.map(({ id }) => id)));
  await volumes.restore(usersOf(running));
  for (const [container, { task, exit }] of found) await settle(context, container, task, exit);
  await removeUnknown(context);
  for (const container of registry.all()) startWithEngine(context, container);
}

interface Found {
  readonly task?: Task | undefined;
  readonly exit?: ExitRecord | undefined;
}

async function find({ runtime, paths, logger }: Context, { id }: Container): Promise<Found> {
  const bundle = paths.bundle(id);
  if (!existsSync(bundle)) return {};
  try {
    const found = await runtime.open(id, bundle);
    return "lost" in found ? {} : found;
  } catch (error) {
    logger.log("warn", "a container's monitor could not be asked", { container: id, error: errorMessage(error) });
    return {};
  }
}

/** Volume → the running containers that use it. */
function usersOf(containers: readonly Container[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { id, definition } of containers)
    for (const { name } of definition.mounts) if (name !== undefined) users.set(name, [...(users.get(name) ?? []), id]);
  return users;
}

async function settle(
  context: Context,
  container: Container,
  task: Task | undefined,
  exit: ExitRecord | undefined,
): Promise<void> {
  const { rootfs } = context;
  const { status, finishedAt } = container.state;
  if (task !== undefined) rootfs.adopt(container.id, container);
  if (status === "creating") return discard(context, container);
  if (status === "removing") {
    if (task !== undefined) container.task = task;
    return eraseLocked(context, container, container.state.removeVolumes).catch(() => {});
  }
  if (task !== undefined) return resume(context, container, task);
  if (isLive(container.state)) return handleExit(context, container, exit ?? lost());
  // The engine died between the process's start and its record, and the process has ended since.
  if (exit !== undefined && exit.finishedAt > finishedAt) return handleExit(context, container, exit);
  await context.runtime.cleanup(container.id);
  await releaseRun(context, container);
  if (status === "restarting") scheduleRestart(context, container, 0);
}

function lost(): ExitRecord {
  return { exitCode: LOST_EXIT, oomKilled: false, finishedAt: timestamp() };
}

/** It runs on. One whose start was not recorded any more is recorded now. */
function resume(context: Context, container: Container, task: Task): void {
  if (!isLive(container.state)) return adopt(context, container, task, container.state.restartCount);
  container.task = task;
  watchExit(context, container, task);
  watchHealth(context, container);
}

async function removeUnknown(context: Context): Promise<void> {
  const { paths, registry, runtime, snapshots, rootfs } = context;
  for (const id of readdirSync(paths.bundlesFolder)) {
    if (registry.has(id)) continue;
    await runtime.cleanup(id).catch(() => {});
    await rootfs.clear(id).catch(() => {});
    rmSync(paths.bundle(id), { recursive: true, force: true });
  }
  for (const key of snapshots.keys()) if (!registry.has(key)) await snapshots.remove(key).catch(() => {});
  for (const id of readdirSync(paths.containersFolder))
    if (!registry.has(id)) rmSync(paths.container(id), { recursive: true, force: true });
  for (const id of readdirSync(paths.execsFolder)) forgetExec(context, id);
}

/** An exec outlives the engine, but nobody can ask for it any more: its folder goes when it ends. */
function forgetExec({ runtime, paths, closing, logger }: Context, id: string): void {
  const remove = () => {
    if (!closing()) rmSync(paths.exec(id), { recursive: true, force: true });
  };
  runtime.openExec(id, paths.exec(id)).then(
    (found) => ("task" in found ? void found.task.released.then(remove) : remove()),
    (error) => logger.log("warn", "an exec's monitor could not be asked", { exec: id, error: errorMessage(error) }),
  );
}

function startWithEngine(context: Context, container: Container): void {
  const { definition, state, id } = container;
  if (isLive(state) || state.status === "restarting" || state.status === "created") return;
  if (definition.hostConfig.AutoRemove) {
    void inBackground(context, "removing a container", () =>
      context.locks.run(id, () => eraseLocked(context, container, true)),
    );
    return;
  }
  if (!wantsStartWithEngine(definition.hostConfig, state)) return;
  void inBackground(context, "starting a container with the engine", () =>
    context.locks.run(id, () => startLocked(context, container)),
  );
}
