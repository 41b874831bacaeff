/** Further processes in a running container. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { ExecCreateRequest, ExecInspect, ExecStartRequest } from "../api/types/container.ts";
import { EngineError, errnoOf } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { availableCapabilities } from "../runtime/capabilities.ts";
import { buildExecProcess } from "../runtime/process.ts";
import type { ExitRecord, Task } from "../runtime/runtime.ts";
import type { Process, Spec } from "../runtime/spec-types.ts";
import { startErrorExitCode } from "../runtime/start-errors.ts";
import { readUserFiles, resolveUser, type UserFiles } from "../runtime/users.ts";
import type { Container } from "./container.ts";
import type { PreparedAttach } from "./containers.ts";
import type { Context } from "./context.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import type { Exec } from "./exec-registry.ts";
import { joinStreams } from "./join-streams.ts";
import { notify } from "./notify.ts";
import { refuseNotRunning } from "./pause.ts";
import { consoleSize } from "./start.ts";

/** What is kept beside the monitor's files, so that the next engine knows whose it is. */
export const EXEC_FILE = "exec.json";

/** Makes the exec's record; nothing runs. Returns its id. */
export function createExec(context: Context, container: Container, request: ExecCreateRequest): string {
  refuseExec(container);
  if ((request.Cmd ?? []).length === 0) throw new EngineError("invalid", "No exec command specified");
  if (request.WorkingDir && !request.WorkingDir.startsWith("/"))
    throw new EngineError("invalid", `Cwd must be an absolute path: ${request.WorkingDir}`);
  parseDetachKeys(request.DetachKeys || undefined);
  context.runtime.prepare();
  const exec: Exec = {
    id: newId(),
    containerId: container.id,
    request,
    task: undefined,
    status: "new",
    pid: 0,
    exitCode: null,
  };
  context.execs.add(container, exec);
  notify(context, container, `exec_create: ${commandText(exec)}`, { execID: exec.id });
  return exec.id;
}

/** Detached: resolves when it runs, with undefined. */
export async function startExec(
  context: Context,
  execId: string,
  { Detach, ConsoleSize }: ExecStartRequest,
): Promise<PreparedAttach | undefined> {
  const exec = context.execs.get(execId);
  const container = context.registry.get(exec.containerId);
  if (exec.status !== "new")
    throw new EngineError(
      "conflict",
      `exec command ${execId} ${exec.status === "ended" ? "has already run" : "is already running"}`,
    );
  refuseExec(container);
  const size = consoleSize(ConsoleSize ?? exec.request.ConsoleSize);
  if (Detach) {
    await launchExec(context, container, exec, { size, hold: false, stdin: false });
    return undefined;
  }
  return { raw: exec.request.Tty === true, run: (client) => runAttached(context, container, exec, client, size) };
}

type Size = readonly [number, number] | undefined;

async function runAttached(
  context: Context,
  container: Container,
  exec: Exec,
  client: Duplex,
  size: Size,
): Promise<void> {
  const { AttachStdin, AttachStdout, AttachStderr, Tty, DetachKeys } = exec.request;
  if (exec.status !== "new") throw new EngineError("conflict", `exec command ${exec.id} is already running`);
  const stdin = AttachStdin === true;
  const task = await launchExec(context, container, exec, { size, hold: true, stdin });
  const stream = await task.attach({ stdin, stdout: AttachStdout === true, stderr: AttachStderr === true });
  task.proceed();
  const detachKeys = Tty ? parseDetachKeys(DetachKeys || undefined) : [];
  const outcome = await joinStreams({ client, stream, stdin, detachKeys });
  if (outcome === "detached") notify(context, container, "exec_detach", { execID: exec.id });
  // Clients ask for the exit code as soon as the stream ends.
  if (outcome === "ended") await task.exited;
}

interface LaunchOptions {
  readonly size: Size;
  readonly hold: boolean;
  readonly stdin: boolean;
}

async function launchExec(context: Context, container: Container, exec: Exec, options: LaunchOptions): Promise<Task> {
  exec.status = "running";
  context.execs.started(exec);
  notify(context, container, `exec_start: ${commandText(exec)}`, { execID: exec.id });
  try {
    const task = await spawnExec(context, container, exec.id, { ...options, request: exec.request });
    watchExec(context, container, exec, task);
    return task;
  } catch (error) {
    endExec(context, container, exec, startErrorExitCode(error));
    throw error;
  }
}

/** Starts the process in a folder of its own, which is removed when all is over. */
export async function spawnExec(
  context: Context,
  container: Container,
  execId: string,
  { request, size, hold, stdin }: LaunchOptions & { readonly request: ExecCreateRequest },
): Promise<Task> {
  const { paths, runtime } = context;
  const bundle = paths.exec(execId);
  const process = execProcess(context, container, request);
  mkdirSync(bundle, { mode: 0o711 });
  try {
    writeFileSync(join(bundle, EXEC_FILE), JSON.stringify({ containerId: container.id, request }));
    const task = await runtime.exec({
      execId,
      containerId: container.id,
      containerBundle: paths.bundle(container.id),
      bundle,
      process,
      runtime: container.definition.hostConfig.Runtime || undefined,
      terminal: request.Tty === true,
      size,
      stdin,
      hold,
    });
    removeWhenReleased(context, execId, task);
    return task;
  } catch (error) {
    rmSync(bundle, { recursive: true, force: true });
    throw error;
  }
}

/** Its folder goes when all is over; nobody waits for that, an engine that ends least of all. */
export function removeWhenReleased({ paths, closing }: Context, execId: string, task: Task): void {
  void task.released.then(() => {
    if (!closing()) rmSync(paths.exec(execId), { recursive: true, force: true });
  });
}

function execProcess(context: Context, container: Container, request: ExecCreateRequest): Process {
  const { hostConfig } = container.definition;
  const user = request.User
    ? resolveUser(request.User, userFiles(container, context.paths.rootfs(container.id)), hostConfig.GroupAdd ?? [])
    : undefined;
  return buildExecProcess({
    container: mainProcess(context, container),
    args: request.Cmd ?? [],
    env: request.Env ?? [],
    cwd: request.WorkingDir || undefined,
    tty: request.Tty === true,
    user,
    privileged: request.Privileged === true,
    availableCapabilities: availableCapabilities(context.host.capabilities),
  });
}

/** As the container has them now, also where something is mounted over them. */
function userFiles({ state }: Container, rootfs: string): UserFiles {
  try {
    return readUserFiles(`/proc/${state.pid}/root`);
  } catch (error) {
    // It is just ending.
    if (!["ENOENT", "ESRCH"].includes(errnoOf(error) ?? "")) throw error;
    return readUserFiles(rootfs);
  }
}

/** From the run's config.json: kept after the first exec, a few KB. */
function mainProcess({ paths }: Context, container: Container): Process {
  container.process ??= (
    JSON.parse(readFileSync(join(paths.bundle(container.id), "config.json"), "utf8")) as Spec
  ).process;
  return container.process;
}

/** Also for one that an earlier engine started. */
export function watchExec(context: Context, container: Container, exec: Exec, task: Task): void {
  exec.task = task;
  exec.pid = task.pid;
  exec.status = "running";
  void task.exited.then((record: ExitRecord) => {
    if (!context.closing()) endExec(context, container, exec, record.exitCode);
  });
}

function endExec(context: Context, container: Container, exec: Exec, exitCode: number): void {
  exec.task = undefined;
  exec.status = "ended";
  exec.exitCode = exitCode;
  if (!context.registry.has(container.id)) return;
  context.execs.ended(container, exec);
  notify(context, container, "exec_die", { execID: exec.id, exitCode: String(exitCode) });
}

export function inspectExec({ execs }: Context, execId: string): ExecInspect {
  const { id, containerId, request, status, exitCode, pid } = execs.get(execId);
  const [entrypoint = "", ...args] = request.Cmd ?? [];
  return {
    ID: id,
    Running: status === "running",
    ExitCode: exitCode,
    ProcessConfig: {
      tty: request.Tty === true,
      entrypoint,
      arguments: args,
      privileged: request.Privileged === true,
      ...(request.User ? { user: request.User } : {}),
    },
    OpenStdin: request.AttachStdin === true,
    OpenStderr: request.AttachStderr === true,
    OpenStdout: request.AttachStdout === true,
    CanRemove: status === "ended",
    ContainerID: containerId,
    DetachKeys: request.DetachKeys ?? "",
    Pid: pid,
  };
}

export async function resizeExec({ execs }: Context, execId: string, rows: number, columns: number): Promise<void> {
  const { task, request } = execs.get(execId);
  if (task === undefined) throw new EngineError("conflict", `exec ${execId} is not running`);
  if (request.Tty) await task.resize(rows, columns);
}

function refuseExec(container: Container): void {
  refuseNotRunning(container);
  if (container.state.status === "paused")
    throw new EngineError("conflict", `Container ${container.id} is paused, unpause the container before exec`);
}

function commandText({ request }: Exec): string {
  return (request.Cmd ?? []).join(" ");
}
