import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { ExecCreateRequest, ExecInspect, ExecStartRequest } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { availableCapabilities } from "../runtime/capabilities.ts";
import { buildExecProcess } from "../runtime/process.ts";
import type { Task } from "../runtime/runtime.ts";
import type { Process, Spec } from "../runtime/spec-types.ts";
import { startErrorExitCode } from "../runtime/start-errors.ts";
import { readUserFiles, resolveUser } from "../runtime/users.ts";
import { inBackground } from "./background.ts";
import type { Container } from "./container.ts";
import type { PreparedAttach } from "./containers.ts";
import type { Context } from "./context.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import type { Exec } from "./exec-registry.ts";
import { joinStreams } from "./join-streams.ts";
import { notify } from "./notify.ts";
import { consoleSize } from "./start.ts";

export function createExec(context: Context, container: Container, request: ExecCreateRequest): string {
  refuseIdle(container);
  if (!request.Cmd?.length) throw new EngineError("invalid", "No exec command specified");
  parseDetachKeys(request.DetachKeys);
  context.runtime.prepare();
  const { id } = context.execs.add(newId(), container, request);
  notify(context, container, `exec_create: ${commandLine(request)}`, { execID: id });
  return id;
}

function refuseIdle({ id, state }: Container): void {
  if (state.status === "paused")
    throw new EngineError("conflict", `Container ${id} is paused, unpause the container before exec`);
  if (state.status === "restarting")
    throw new EngineError("conflict", `Container ${id} is restarting, wait until the container is running`);
  if (state.status !== "running") throw new EngineError("conflict", `container ${id} is not running`);
}

/** Detached: resolves when it runs. Otherwise `run` starts it. */
export async function startExec(
  context: Context,
  exec: Exec,
  { Detach = false, Tty, ConsoleSize }: ExecStartRequest,
): Promise<PreparedAttach | undefined> {
  if (exec.state !== "created")
    throw new EngineError(
      "conflict",
      exec.state === "ended" ? `exec command ${exec.id} has already run` : `exec command ${exec.id} is already running`,
    );
  refuseIdle(exec.container);
  exec.state = "starting";
  const size = consoleSize(ConsoleSize) ?? consoleSize(exec.request.ConsoleSize);
  if (Detach) {
    await launch(context, exec, { size, attached: false });
    return undefined;
  }
  const raw = Tty === true || exec.request.Tty === true;
  return { raw, run: (client) => runAttached(context, exec, client, size) };
}

async function runAttached(
  context: Context,
  exec: Exec,
  client: Duplex,
  size: [number, number] | undefined,
): Promise<void> {
  const { AttachStdin = false, AttachStdout = false, AttachStderr = false, Tty = false, DetachKeys } = exec.request;
  client.on("error", () => {});
  const task = await launch(context, exec, { size, attached: true });
  const stream = await task.attach({ stdin: AttachStdin, stdout: AttachStdout, stderr: AttachStderr });
  task.proceed();
  const detachKeys = Tty ? parseDetachKeys(DetachKeys) : [];
  if ((await joinStreams({ client, stream, stdin: AttachStdin, detachKeys })) === "detached") {
    notify(context, exec.container, "exec_detach", { execID: exec.id });
    return;
  }
  // Who reads the end of the stream may ask for the exit code at once.
  if (!client.destroyed) await task.exited;
}

interface Launch {
  readonly size: [number, number] | undefined;
  readonly attached: boolean;
}

async function launch(context: Context, exec: Exec, { size, attached }: Launch): Promise<Task> {
  const { paths, runtime, host } = context;
  const { id, container, request } = exec;
  const bundle = paths.exec(id);
  const containerBundle = paths.bundle(container.id);
  try {
    const spec = JSON.parse(readFileSync(join(containerBundle, "config.json"), "utf8")) as Spec;
    mkdirSync(bundle, { recursive: true, mode: 0o711 });
    const task = await runtime.exec({
      execId: id,
      containerId: container.id,
      containerBundle,
      bundle,
      process: execProcess(context, container, request, spec.process, availableCapabilities(host.capabilities)),
      runtime: container.definition.hostConfig.Runtime || undefined,
      terminal: request.Tty === true,
      size,
      stdin: attached && request.AttachStdin === true,
      hold: attached,
    });
    adopt(context, exec, task);
    return task;
  } catch (error) {
    rmSync(bundle, { recursive: true, force: true });
    context.execs.ended(exec, startErrorExitCode(error));
    throw error;
  }
}

function execProcess(
  { paths }: Context,
  container: Container,
  { Cmd = [], Env, WorkingDir, Tty = false, User, Privileged = false }: ExecCreateRequest,
  process: Process,
  capabilities: readonly string[],
): Process {
  const groups = container.definition.hostConfig.GroupAdd ?? [];
  return buildExecProcess({
    container: process,
    args: Cmd,
    env: Env,
    cwd: WorkingDir || undefined,
    tty: Tty,
    user: User ? resolveUser(User, readUserFiles(paths.rootfs(container.id)), groups) : undefined,
    privileged: Privileged,
    availableCapabilities: capabilities,
  });
}

/** The task is the exec's from here on. */
function adopt(context: Context, exec: Exec, task: Task): void {
  exec.task = task;
  exec.pid = task.pid;
  exec.state = "running";
  notify(context, exec.container, `exec_start: ${commandLine(exec.request)}`, { execID: exec.id });
  void task.exited.then(({ exitCode }) => {
    context.execs.ended(exec, exitCode);
    if (context.closing()) return;
    notify(context, exec.container, "exec_die", { execID: exec.id, exitCode: String(exitCode) });
    void inBackground(context, "letting go of an exec", async () => {
      await task.released;
      rmSync(context.paths.exec(exec.id), { recursive: true, force: true });
    });
  });
}

function commandLine({ Cmd = [] }: ExecCreateRequest): string {
  return Cmd.join(" ");
}

export function inspectExec({ id, container, request, state, exitCode, pid }: Exec): ExecInspect {
  const [entrypoint = "", ...args] = request.Cmd ?? [];
  return {
    ID: id,
    Running: state === "running",
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
    CanRemove: state === "ended",
    ContainerID: container.id,
    DetachKeys: "",
    Pid: pid,
  };
}
