import { rmSync } from "node:fs";
import type { ContainerPruneResult } from "../api/types/container.ts";
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { inBackground } from "./background.ts";
import { removeImageMounts } from "./bundle-mounts.ts";
import type { Container } from "./container.ts";
import type { Filters } from "./containers.ts";
import type { Context } from "./context.ts";
import { exitResult, resolveAll } from "./exit.ts";
import { pruneFilter } from "./list-filters.ts";
import { notify } from "./notify.ts";
import { releaseRun } from "./release.ts";
import { isRunning } from "./state.ts";

export interface RemoveOptions {
  readonly force: boolean;
  readonly volumes: boolean;
}

/** "conflict" with Docker's texts for one that runs, unless `force`. */
export async function removeContainer(context: Context, container: Container, options: RemoveOptions): Promise<void> {
  refuseTwice(container);
  await context.locks.run(container.id, async () => {
    if (!context.registry.has(container.id)) {
      if (options.force) return;
      throw new EngineError("not-found", `No such container: ${container.id}`);
    }
    refuseTwice(container);
    refuseLive(container, options);
    await eraseLocked(context, container, options.volumes);
  });
}

function refuseTwice({ id, state }: Container): void {
  if (state.status === "removing")
    throw new EngineError("conflict", `removal of container ${id} is already in progress`);
}

function refuseLive({ name, state }: Container, { force }: RemoveOptions): void {
  if (force || !isRunning(state)) return;
  const advice = "stop the container before removing or force remove";
  const what = state.status === "paused" ? `unpause and then ${advice}` : advice;
  throw new EngineError("conflict", `cannot remove container "/${name}": container is ${state.status}: ${what}`);
}

/** For `--rm`, which takes its anonymous volumes along. */
export function removeInBackground(context: Context, container: Container): void {
  void inBackground(context, "removing a container", () =>
    context.locks.run(container.id, async () => {
      if (!context.registry.has(container.id) || isRunning(container.state) || context.closing()) return;
      await eraseLocked(context, container, true);
    }),
  );
}

/** The caller holds the lock. A kill in between is made up for by `restore`; a failure leaves it "dead", to be removed again. */
export async function eraseLocked(context: Context, container: Container, volumes: boolean): Promise<void> {
  const { registry, runtime } = context;
  container.cancelRestart?.();
  registry.change(container, { kind: "remove", volumes });
  try {
    await end(context, container);
    await container.settled;
    await runtime.cleanup(container.id);
    await releaseRun(context, container);
    await erase(context, container, volumes);
  } catch (error) {
    const message = errorMessage(error);
    registry.change(container, { kind: "die", error: message });
    resolveAll(container.removalWaiters, { StatusCode: container.state.exitCode, Error: { Message: message } });
    throw new EngineError("internal", `unable to remove container "/${container.name}": ${message}`, { cause: error });
  }
  const result = exitResult(container);
  notify(context, container, "destroy");
  registry.delete(container);
  for (const joiner of container.joiners) void joiner(undefined);
  resolveAll(container.exitWaiters, result);
  resolveAll(container.removalWaiters, result);
}

async function end(context: Context, container: Container): Promise<void> {
  const { task } = container;
  if (task === undefined) return;
  notify(context, container, "kill", { signal: "9" });
  await task.killAll(9).catch(() => {});
  await task.kill(9).catch(() => {});
  // A frozen process dies when it thaws.
  await context.runtime.resume(container.id).catch(() => {});
  await task.exited;
}

async function erase(context: Context, container: Container, volumes: boolean): Promise<void> {
  const { snapshots, images, logs, paths, execs, registry } = context;
  const { id, definition } = container;
  await snapshots.remove(id);
  await removeImageMounts(context, id, definition);
  await logs.remove(logs.sink(definition.hostConfig.LogConfig ?? {}, paths.container(id), id));
  rmSync(paths.container(id), { recursive: true, force: true });
  execs.forgetContainer(container);
  // The image was in use until now.
  images.used(container.imageId);
  if (!volumes) return;
  const users = registry.volumeUsers();
  for (const { name, anonymous } of definition.mounts) {
    if (!anonymous || name === undefined) continue;
    const inUseBy = (users.get(name) ?? []).filter((user) => user !== id);
    await removeUnlessUsed(context, name, inUseBy);
  }
}

async function removeUnlessUsed({ volumes }: Context, name: string, inUseBy: readonly string[]): Promise<void> {
  try {
    await volumes.remove(name, { force: true, inUseBy });
  } catch (error) {
    if (errorKind(error) !== "conflict") throw error;
  }
}

/** Removes every container that does not run and passes the filters. */
export async function pruneContainers(context: Context, filters: Filters): Promise<ContainerPruneResult> {
  const passes = pruneFilter(filters);
  const removed: string[] = [];
  let reclaimed = 0;
  for (const container of context.registry.all()) {
    if (isRunning(container.state) || !passes(container)) continue;
    const size = await context.snapshots.usage(container.id).catch(() => 0);
    try {
      await removeContainer(context, container, { force: false, volumes: false });
    } catch (error) {
      if (!["conflict", "not-found"].includes(errorKind(error))) throw error;
      continue;
    }
    removed.push(container.id);
    reclaimed += size;
  }
  context.events.publish({
    type: "container",
    action: "prune",
    id: "",
    attributes: { reclaimed: String(reclaimed) },
  });
  return { ContainersDeleted: removed, SpaceReclaimed: reclaimed };
}
