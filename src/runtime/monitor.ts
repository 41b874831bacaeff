/** Starting tasks under gantry-monitor, and finding them again. */

import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { EngineError } from "../base/errors.ts";
import { pipe, run, spawn } from "../kernel/spawn.ts";
import type { LogSink } from "../logs/logs.ts";
import { MonitoredTask, readExitRecord, type TaskState } from "./monitor-task.ts";
import { connectMonitor, encodeRequest, type Frame, isGone, OP, readFrame } from "./monitor-wire.ts";
import type { ExitRecord, Task } from "./runtime.ts";

export const MONITOR_PATH = join(import.meta.dirname, "../../native/build/gantry-monitor");

export interface StartTaskOptions {
  readonly id: string;
  /**
   * An existing folder, the working folder of launch and cleanup. Made in it: m.sock, pid, exit and, while a terminal is
   * handed over, console.sock. A former task of the same folder must be released.
   */
  readonly dir: string;
  /** Runs the OCI runtime, which must detach, write its pid to `pid`, and send a terminal to `console.sock`. */
  readonly launch: readonly string[];
  /** Runs after the exit, before `released`. Not after a failed launch. */
  readonly cleanup?: readonly string[] | undefined;
  /** memory.oom_control (v1) or memory.events (v2); its folder is the cgroup that `killAll` signals. */
  readonly oomFile?: string | undefined;
  /** A file of the runtime's messages; when it is empty or absent what the runtime printed is reported. */
  readonly runtimeLog?: string | undefined;
  readonly terminal: boolean;
  readonly size?: readonly [rows: number, columns: number] | undefined;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly log: LogSink;
  /** Nothing of the output is read before `Task.proceed()`. */
  readonly hold?: boolean | undefined;
  /** Run launch and cleanup where /sys/fs/cgroup/unified is not mounted. */
  readonly hideUnified: boolean;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** How long the launch, and the cleanup, may take before they are killed with what they started; default 120 s. */
  readonly runtimeMs?: number | undefined;
  /** How long an attached client may take nothing; default 60 s. */
  readonly stallMs?: number | undefined;
  /** Default: MONITOR_PATH alone. With words before it, it runs under a checker. */
  readonly monitor?: readonly [string, ...string[]] | undefined;
}

/** The cause of the error of a failed launch. */
export interface LaunchFailure {
  /** The runtime's exit code; 125 when the monitor itself failed. */
  readonly exitCode: number;
  /** The signal's number when one ended the runtime. */
  readonly signal?: number | undefined;
  /** It was killed because it did not end in time. */
  readonly late: boolean;
  /** The end of what the runtime wrote, trimmed. */
  readonly output: string;
}

/** What the monitor says of a runtime that it had to kill: native/monitor/launch.h. */
const LATE = { code: 124, signal: 9 } as const;

/** Resolves when the process runs. Fails with "internal", the runtime's message and a LaunchFailure as its cause. */
export async function startTask(options: StartTaskOptions): Promise<Task> {
  const events = spawnMonitor(options);
  let first: Frame;
  try {
    first = await readFrame(events);
  } catch (cause) {
    events.destroy();
    throw new EngineError("internal", "gantry-monitor ended before it started anything", { cause });
  }
  if (first.op !== OP.started) {
    events.destroy();
    throw launchError(first);
  }
  const state: TaskState = JSON.parse(first.payload.toString());
  const { id, dir, oomFile, cleanup, hideUnified, runtimeMs } = options;
  return new MonitoredTask({
    id,
    dir,
    state,
    oomFile,
    events,
    cleanup: cleanup && (() => runRuntime(cleanup, { hideUnified, cwd: dir, timeoutMs: runtimeMs })),
  });
}

export interface OpenTaskOptions {
  /** As in StartTaskOptions; for the case that the monitor vanishes. */
  readonly cleanup?: readonly string[] | undefined;
  readonly hideUnified?: boolean | undefined;
  readonly runtimeMs?: number | undefined;
}

/** Finds a task of an earlier process: still there, ended with a record, or lost without a trace. */
export async function openTask(
  id: string,
  dir: string,
  { cleanup, hideUnified = false, runtimeMs }: OpenTaskOptions = {},
): Promise<{ task: Task } | { exit: ExitRecord } | { lost: true }> {
  try {
    const events = await connectMonitor(dir);
    events.on("error", () => {});
    events.write(encodeRequest(OP.watch));
    const state: TaskState = JSON.parse((await readFrame(events)).payload.toString());
    return {
      task: new MonitoredTask({
        id,
        dir,
        state,
        events,
        cleanup: cleanup && (() => runRuntime(cleanup, { hideUnified, cwd: dir, timeoutMs: runtimeMs })),
      }),
    };
  } catch (error) {
    if (!isGone(error) && !(error instanceof EngineError)) throw error;
    const exit = readExitRecord(dir);
    return exit === undefined ? { lost: true } : { exit };
  }
}

/** Runs a command of the OCI runtime to its end, where it does not see a hybrid cgroup layout if so wished. */
export function runRuntime(
  argv: readonly string[],
  { hideUnified, ...options }: { hideUnified: boolean } & Parameters<typeof run>[2],
): ReturnType<typeof run> {
  const [file = "", ...args] = argv;
  if (!hideUnified) return run(file, args, options);
  return run(MONITOR_PATH, ["runtime", "--hide-unified", "--", ...argv], options);
}

function spawnMonitor(options: StartTaskOptions): Socket {
  const [readEnd, writeEnd] = pipe();
  const [file, ...words] = options.monitor ?? [MONITOR_PATH];
  try {
    spawn({
      file,
      args: [...words, ...monitorArguments(options)],
      stdio: ["null", "null", "null", writeEnd],
      session: true,
      keepAlive: false,
      ...(options.env !== undefined && { env: options.env }),
    });
  } catch (error) {
    closeSync(readEnd);
    throw error;
  } finally {
    closeSync(writeEnd);
  }
  return new Socket({ fd: readEnd, readable: true, writable: false });
}

function monitorArguments(options: StartTaskOptions): string[] {
  const { log, size, launch, cleanup } = options;
  const flag = (name: string, on: boolean | undefined) => (on ? [`--${name}`] : []);
  const value = (name: string, given: string | number | undefined) =>
    given === undefined ? [] : [`--${name}`, `${given}`];
  const words = (name: string, given: readonly string[] | undefined) =>
    given === undefined ? [] : [`--${name}`, `${given.length}`, ...given];
  return [
    "run",
    ...value("dir", options.dir),
    ...value("report", 3),
    ...flag("terminal", options.terminal),
    ...value("rows", size?.[0]),
    ...value("columns", size?.[1]),
    ...flag("stdin", options.stdin),
    ...flag("stdin-once", options.stdinOnce),
    ...flag("hold", options.hold),
    ...flag("hide-unified", options.hideUnified),
    ...value("oom-file", options.oomFile),
    ...value("runtime-log", options.runtimeLog),
    ...value("stall-ms", options.stallMs),
    ...value("runtime-ms", options.runtimeMs),
    ...(log.driver === "none" ? [] : logArguments(log)),
    ...words("launch", launch),
    ...words("cleanup", cleanup),
  ];

  function logArguments(sink: LogSink): string[] {
    return [
      ...value("log-path", sink.path),
      ...value("log-max-size", sink.maxSize),
      ...value("log-max-files", sink.maxFiles),
      ...flag("log-compress", sink.compress),
      ...value("log-buffer", sink.buffer),
      ...value("log-attributes", sink.attributes && JSON.stringify(sink.attributes)),
    ];
  }
}

function launchError(frame: Frame): EngineError {
  const output = frame.payload.toString().trim();
  const late = frame.a === LATE.code && frame.b === LATE.signal;
  const failure: LaunchFailure = { exitCode: frame.a, ...(frame.b !== 0 && { signal: frame.b }), late, output };
  return new EngineError("internal", output === "" ? `the runtime failed with exit code ${frame.a}` : output, {
    cause: failure,
  });
}
