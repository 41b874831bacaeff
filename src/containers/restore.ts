/** At the engine's start: what an earlier one left, however it ended, is known again, finished or taken back. */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ExecCreateRequest } from "../api/types/container.ts";
import { errorMessage } from "../base/errors.ts";
import { timestamp } from "../base/time.ts";
import type { ExitRecord, Task } from "../runtime/runtime.ts";
import { unmountShm } from "../runtime/shm.ts";
import { AWAIT_POLL, awaitsOthers } from "./awaited.ts";
import { inBackground } from "./background.ts";
import { clearBundleMounts, ownerOfSnapshot } from "./bundle-mounts.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { discard } from "./create.ts";
import { EXEC_FILE, removeWhenReleased, watchExec } from "./exec.ts";
import { handleExit, scheduleRestart, watchExit } from "./exit.ts";
import { resumeHealth } from "./health.ts";
import { actOnUnhealthy } from "./health-action.ts";
import { letGoOfHeld } from "./hold-still.ts";
import { forwardLog } from "./log-subject.ts";
import { removeBundle } from "./release.ts";
import { eraseLocked, removeInBackground } from "./remove.ts";
import { wantsStartWithEngine } from "./restart-policy.ts";
import { adopt, startLocked } from "./start.ts";
import { isLive } from "./state.ts";

type Found = { readonly task: Task } | { readonly exit: ExitRecord } | { readonly lost: true };

export async function restoreContainers(context: Context): Promise<void> {
  const containers = context.registry.everything();
  const found = new Map<Container, Found>();
  await Promise.all(containers.map(async (container) => found.set(container, await findTask(context, container))));
  const alive = containers.filter((container) => hasTask(found.get(container)));
  for (const { id } of alive) context.rootfs.adopt(id, context.registry.get(id));
  await context.networks.restore(new Set(alive.map(({ id }) => id)));
  await context.volumes.restore(usersOf(alive));
  // Takes back what is not alive before anything is started anew.
  for (const container of containers) await settle(context, container, found.get(container) ?? { lost: true });
  await removeUnknown(context);
  await restoreExecs(context);
  await letGoOfHeld(context);
  for (const container of context.registry.everything()) resumeLife(context, container);
}

/** A bundle is the mark of a run, whatever the database says: the kill may have come between the two. */
async function findTask({ paths, runtime, logger }: Context, { id }: Container): Promise<Found> {
  if (!existsSync(paths.bundle(id))) return { lost: true };
  try {
    return await runtime.open(id, paths.bundle(id));
  } catch (error) {
    logger.log("warn", "a container's monitor does not answer", { container: id, error: errorMessage(error) });
    return { lost: true };
  }
}

function hasTask(found: Found | undefined): found is { readonly task: Task } {
  return found !== undefined && "task" in found;
}

function usersOf(containers: readonly Container[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { id, definition } of containers)
    for (const { type, name } of definition.mounts)
      if (type === "volume" && name !== undefined) users.set(name, [...(users.get(name) ?? []), id]);
  return users;
}

async function settle(context: Context, container: Container, found: Found): Promise<void> {
  if (container.state.status === "creating") return discard(context, container);
  if (hasTask(found)) return takeOver(context, container, found.task);
  await clear(context, container);
  // What an earlier engine did not get rid of.
  forwardLog(context, container, Promise.resolve());
  const { state } = container;
  const ended = "exit" in found ? found.exit : lostRecord();
  const unseen =
    "exit" in found && state.finishedAt !== found.exit.finishedAt && !["removing", "dead"].includes(state.status);
  if (isLive(state) || unseen) handleExit(context, container, ended);
}

/** Nobody saw its end: the machine went down, or the monitor was killed. */
function lostRecord(): ExitRecord {
  return { exitCode: 255, oomKilled: false, finishedAt: timestamp() };
}

async function takeOver(context: Context, container: Container, task: Task): Promise<void> {
  const { state, id } = container;
  container.task = task;
  if (isLive(state)) {
    watchExit(context, container, task);
    forwardLog(context, container, task.exited);
    // The kill may have come between the freezer and the database.
    const inStep = state.status === "paused" ? context.runtime.pause(id) : context.runtime.resume(id);
    await inStep.catch(() => {});
    resumeHealth(context, container);
  } else if (state.status === "removing") watchExit(context, container, task);
  else adopt(context, container, task, state.restartCount);
}

/** Of a run that is over: processes, control group, mounts, bundle. */
async function clear(context: Context, { id }: Container | { readonly id: string }): Promise<void> {
  const { runtime, rootfs, paths, logger } = context;
  if (!existsSync(paths.bundle(id))) return;
  try {
    await runtime.cleanup(id);
    await rootfs.clear(id);
    clearBundleMounts(context, id);
    unmountShm(paths.shm(id));
  } catch (error) {
    logger.log("warn", "what an earlier run left could not be taken away", {
      container: id,
      error: errorMessage(error),
    });
  }
  removeBundle(context, id);
}

/** Bundles and snapshots of containers that the database does not know. */
async function removeUnknown(context: Context): Promise<void> {
  const { paths, registry, snapshots } = context;
  for (const id of readdirSync(paths.bundlesFolder)) if (!registry.has(id)) await clear(context, { id });
  for (const id of readdirSync(paths.containersFolder))
    if (!registry.has(id)) rmSync(paths.container(id), { recursive: true, force: true });
  for (const key of snapshots.keys()) {
    const owner = ownerOfSnapshot(key);
    if (owner !== undefined && !registry.has(owner)) await snapshots.remove(key);
  }
}

async function restoreExecs(context: Context): Promise<void> {
  const { paths } = context;
  await Promise.all(
    readdirSync(paths.execsFolder).map(async (id) => {
      const kept = await findExec(context, id).catch(() => false);
      if (!kept) rmSync(paths.exec(id), { recursive: true, force: true });
    }),
  );
}

async function findExec(context: Context, id: string): Promise<boolean> {
  const { paths, registry, execs, runtime } = context;
  const { containerId, request } = JSON.parse(readFileSync(join(paths.exec(id), EXEC_FILE), "utf8")) as {
    containerId: string;
    request: ExecCreateRequest;
  };
  const container = registry.find(containerId);
  const found = await runtime.openExec(id, paths.exec(id));
  if (container === undefined || "lost" in found) return false;
  const exitCode = "exit" in found ? found.exit.exitCode : null;
  const exec = { id, containerId, request, task: undefined, status: "ended" as const, pid: 0, exitCode };
  execs.add(container, exec);
  if (!hasTask(found)) return false;
  execs.started(exec);
  watchExec(context, container, exec, found.task);
  removeWhenReleased(context, id, found.task);
  return true;
}

/** What was under way goes on; what starts with the engine is started, without being waited for. */
function resumeLife(context: Context, container: Container): void {
  const { state, definition } = container;
  const { hostConfig } = definition;
  if (state.status === "removing") {
    void inBackground(context, "removing a container", () =>
      context.locks.run(container.id, () => eraseLocked(context, container, state.removeVolumes)),
    );
  } else if (state.status === "restarting") {
    if (container.cancelRestart === undefined) scheduleRestart(context, container, 0);
  } else if (isLive(state) && state.health?.Status === "unhealthy") {
    // The kill may have come between the finding and what was to follow from it.
    actOnUnhealthy(context, container);
  } else if (state.status === "exited" && hostConfig.AutoRemove) removeInBackground(context, container);
  else if (state.status === "exited" && wantsStartWithEngine(hostConfig, state)) {
    container.startsWithEngine = true;
    void inBackground(context, "starting a container with the engine", () =>
      startWithEngine(context, container, state.restartCount).finally(() => {
        container.startsWithEngine = false;
      }),
    );
  }
}

/** After those that it needs. */
async function startWithEngine(context: Context, container: Container, restartCount: number): Promise<void> {
  // Not before all that start are known.
  await Promise.resolve();
  while (awaitsOthers(context, container) && !context.closing()) await delay(AWAIT_POLL);
  await context.locks.run(container.id, async () => {
    if (container.state.status === "exited") await startLocked(context, container, restartCount);
  });
}
