import { mkdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import { EngineError, errorMessage } from "../base/errors.ts";
import { cgroupPath } from "../kernel/cgroups.ts";
import type { ContainerMount } from "../runtime/container-mounts.ts";
import type { Task } from "../runtime/runtime.ts";
import { buildSpec } from "../runtime/spec.ts";
import type { Spec } from "../runtime/spec-types.ts";
import { startErrorExitCode } from "../runtime/start-errors.ts";
import { readUserFile, readUserFiles, resolveUser, type UserFiles } from "../runtime/users.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { watchExit } from "./exit.ts";
import { watchHealth } from "./health.ts";
import { linkEnvironment } from "./links.ts";
import { forwardLog, logSubject } from "./log-subject.ts";
import { prepareMounts } from "./mount-sources.ts";
import { chooseNamespaces } from "./namespaces.ts";
import { networkFileMounts, openNetwork } from "./network-setup.ts";
import { notify, notifyVolumes } from "./notify.ts";
import { releaseRun } from "./release.ts";
import { removeInBackground } from "./remove.ts";
import { isRunning } from "./state.ts";

/**
 * Starts the container's process. The caller holds the container's lock. On failure everything is let go of, and the error is in
 * the container's state.
 */
export async function startLocked(context: Context, container: Container, restartCount = 0): Promise<void> {
  await container.settled;
  refuseUnstartable(context, container);
  let task: Task;
  try {
    task = await launch(context, container);
  } catch (error) {
    await failed(context, container, error);
    throw error;
  }
  adopt(context, container, task, restartCount);
  await join(context, container, task);
}

function refuseUnstartable(context: Context, container: Container): void {
  const { state } = container;
  if (context.closing()) throw new EngineError("unavailable", "the engine is shutting down");
  if (state.status === "removing" || state.status === "dead")
    throw new EngineError("conflict", "container is marked for removal and cannot be started");
}

/** "not-modified" when it runs, or is about to by its restart policy; a paused one must be unpaused. */
export function refuseRunning({ id, state }: Container): void {
  if (state.status === "paused")
    throw new EngineError("conflict", "cannot start a paused container, try unpause instead");
  if (isRunning(state)) throw new EngineError("not-modified", `container ${id} is already started`);
}

/** Network and file systems side by side, then the process. */
async function launch(context: Context, container: Container): Promise<Task> {
  const { paths, runtime, rootfs, logs } = context;
  const { id, definition } = container;
  const { config, hostConfig } = definition;
  mkdirSync(paths.bundle(id), { recursive: true, mode: 0o711 });
  mkdirSync(paths.container(id), { recursive: true, mode: 0o710 });
  const files = rootfs.acquire(id, container, { ephemeral: hostConfig.AutoRemove === true }).then(async (root) => ({
    root,
    mounts: await prepareMounts(context, container, root),
  }));
  const [network, { root, mounts }] = await bothDone(openNetwork(context, container), files);
  notifyVolumes(context, container, "mount");
  const spec: Spec = buildSpec({
    config: { ...config, Env: [...linkEnvironment(context, container), ...(config.Env ?? [])] },
    hostConfig,
    hostname: config.Hostname || network.owner.definition.config.Hostname || "",
    rootfs: root,
    user: resolveUser(config.User ?? "", userFilesOf(root, mounts), hostConfig.GroupAdd ?? []),
    mounts: [...networkFileMounts(context, container, network.owner), ...mounts],
    ...chooseNamespaces(context, container, network.sandbox),
    ownNetwork: network.owner === container && network.sandbox.netns !== undefined,
    cgroup: cgroupPath(hostConfig.CgroupParent || context.settings.cgroupParent, id),
    resourceSupport: context.cgroups.features,
    defaults: specDefaults(context),
    host: context.host,
    warn: (message) => context.logger.log("warn", message, { container: id }),
  });
  const size = consoleSize(hostConfig.ConsoleSize);
  return runtime.start({
    id,
    bundle: paths.bundle(id),
    spec,
    runtime: hostConfig.Runtime || undefined,
    terminal: config.Tty === true,
    size,
    stdin: config.OpenStdin === true,
    stdinOnce: config.StdinOnce === true,
    log: logs.sinkOfRun(hostConfig.LogConfig ?? {}, paths.container(id), logSubject(container, definition)),
    hold: container.joiners.size > 0,
  });
}

/** Of the root file system, unless something is mounted over them. */
function userFilesOf(root: string, mounts: readonly ContainerMount[]): UserFiles {
  const files = readUserFiles(root);
  const over = (target: string) => mounts.findLast((mount) => mount.target === target)?.source;
  const [folder, passwd, group] = ["/etc", "/etc/passwd", "/etc/group"].map(over);
  const mounted = folder === undefined ? files : readUserFiles(dirname(folder), basename(folder));
  return {
    passwd: passwd === undefined ? mounted.passwd : readUserFile(passwd),
    group: group === undefined ? mounted.group : readUserFile(group),
  };
}

function specDefaults({ settings }: Context) {
  const { defaultUlimits: ulimits, noNewPrivileges, seccompProfile, init, initPath, cdiFolders } = settings;
  return { ulimits, noNewPrivileges, seccompProfile, init, initPath, cdiFolders };
}

export function consoleSize(size: readonly number[] | null | undefined): [number, number] | undefined {
  const [rows = 0, columns = 0] = size ?? [];
  return rows > 0 && columns > 0 ? [rows, columns] : undefined;
}

/** The process is the container's from here on; also for one that an earlier engine started. */
export function adopt(context: Context, container: Container, task: Task, restartCount: number): void {
  container.task = task;
  context.registry.change(container, { kind: "start", pid: task.pid, startedAt: task.startedAt, restartCount });
  notify(context, container, "start");
  watchExit(context, container, task);
  forwardLog(context, container, task.exited);
  watchHealth(context, container);
}

/** Clients that attached before the start get the output from its first byte. */
async function join(_context: Context, container: Container, task: Task): Promise<void> {
  const joiners = [...container.joiners];
  container.joiners.clear();
  await Promise.allSettled(joiners.map((joiner) => joiner(task)));
  task.proceed();
}

async function failed(context: Context, container: Container, error: unknown): Promise<void> {
  await releaseRun(context, container);
  const exitCode = startErrorExitCode(error);
  context.registry.change(container, { kind: "fail", error: errorMessage(error), exitCode });
  for (const joiner of container.joiners) void joiner(undefined);
  container.joiners.clear();
  notify(context, container, "die", { exitCode: String(exitCode), execDuration: "0" });
  if (container.definition.hostConfig.AutoRemove) removeInBackground(context, container);
}

async function bothDone<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === "rejected") throw first.reason;
  if (second.status === "rejected") throw second.reason;
  return [first.value, second.value];
}
