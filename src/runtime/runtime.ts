/**
 * The runtime module's contract: from a container's specification to a process, and back to its exit.
 *
 * Vocabulary
 *   bundle   the folder an OCI runtime reads: `config.json` and what belongs to the run; `<exec-root>/containers/<id>`
 *   monitor  `gantry-monitor`, one small native process per task; owns pipes and terminal, writes the log, reaps the exit.
 *            It outlives gantryd. It listens on `<bundle>/m.sock`.
 *   task     one started process tree with its monitor: a container's main process, or an exec
 *
 * Life: `start` writes `config.json`, spawns the monitor, which runs `crun run --detach` (or runc) and reports the pid or
 * the runtime's error. When the process ends the monitor writes `<bundle>/exit` (atomic rename), tells everyone who is
 * connected, deletes the runtime's state (cgroup too) and ends. After a restart of gantryd `open` finds the task again: a
 * live monitor, or an exit record, or nothing (the machine was rebooted, the monitor was killed).
 */
import type { Readable, Writable } from "node:stream";
import type { Resources } from "../api/types/container.ts";
import type { LogSink } from "../logs/logs.ts";
import type { Spec } from "./spec-types.ts";

export interface ExitRecord {
  /** 0–255; 128+n when a signal ended it. */
  readonly exitCode: number;
  /** The signal's number when one ended it. */
  readonly signal?: number | undefined;
  readonly oomKilled: boolean;
  /** RFC 3339 with nanoseconds, UTC. */
  readonly finishedAt: string;
}

export interface StartRequest {
  readonly id: string;
  /** An existing folder; `config.json` is written here. */
  readonly bundle: string;
  readonly spec: Spec;
  /** "runc", "crun", a configured name; undefined: the default. */
  readonly runtime?: string | undefined;
  readonly terminal: boolean;
  /** Rows and columns of a terminal at start. */
  readonly size?: readonly [rows: number, columns: number] | undefined;
  /** Whether standard input stays open for attached clients; otherwise it is /dev/null. */
  readonly stdin: boolean;
  /** Close standard input when the first client that sent some goes away. */
  readonly stdinOnce: boolean;
  readonly log: LogSink;
  /** Nothing of the output is read until `Task.proceed()`, so that streams attached before it miss no byte. */
  readonly hold?: boolean | undefined;
}

export interface Task {
  readonly id: string;
  /** In the host's pid namespace; 0 after the exit. */
  readonly pid: number;
  /** RFC 3339 with nanoseconds, UTC. */
  readonly startedAt: string;
  /** Resolves once, when the main process has ended and its output is in the log; never rejects. Clean-up goes on: see `released`. */
  readonly exited: Promise<ExitRecord>;
  /** Resolves after the runtime's state and the cgroup are gone, so that the root file system can be unmounted; never rejects. */
  readonly released: Promise<void>;
  /** Sends a signal to the main process. "not-found" when it has ended. Through the monitor, its parent: no pid can be mistaken. */
  kill(signal: number): Promise<void>;
  /** Sends a signal to every process of the container (its cgroup). */
  killAll(signal: number): Promise<void>;
  resize(rows: number, columns: number): Promise<void>;
  /**
   * Opens a stream of what the process writes from now on; see AttachStream. An unfinished line that is not in the log yet
   * comes first, unless `pending` is false. A stream that is wanted must be read: see AttachStream. Without `stdout` or
   * `stderr` (default: both) those bytes are left out; of a terminal all are stdout.
   */
  attach(options?: AttachOptions): Promise<AttachStream>;
  /** Ends the hold of a task started with `hold`; it ends by itself after 10 s, or when gantryd dies. Idempotent. */
  proceed(): void;
  /** Calls back with what happens to it before its end. One listener at a time. */
  listen(listener: (notice: TaskNotice) => void): void;
  /** Lets go of gantryd's connection; the task goes on. */
  release(): void;
}

export type TaskNotice =
  /** The kernel killed one of its processes for want of memory; it may go on. */
  | { readonly kind: "oom" }
  /** Lines of the log are being lost (0), or so many were. At most every 10 seconds. */
  | { readonly kind: "log-lost"; readonly lines: number; readonly reason: string };

export interface AttachOptions {
  readonly stdin?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
  readonly pending?: boolean | undefined;
}

export interface AttachStream {
  /**
   * Bytes as Docker's clients want them: raw for a terminal, otherwise frames of an 8-byte header (stream 1 or 2, 0, 0, 0, big-endian
   * length) and payload. Ends when the process has ended and all was delivered. Has back-pressure, as Docker's: while a reader
   * is behind the monitor reads no more of the output, so nothing is lost and the process waits. A reader that takes
   * nothing at all for 60 s is cut off (the stream ends early; the log has the rest), so that a forgotten client holds nobody up.
   */
  readonly output: Readable;
  /** Standard input. Ending it closes the container's stdin as StdinOnce says. */
  readonly input: Writable;
  /** Bytes in the log's current file at the moment the stream began: the log up to here and the stream from here are gapless. */
  readonly logPosition: LogPosition;
  close(): void;
}

export interface LogPosition {
  /** The inode number of the log's current file; 0 without a log. */
  readonly generation: number;
  readonly offset: number;
}

export interface ExecRequest {
  /** 64 hex digits. */
  readonly execId: string;
  readonly containerId: string;
  readonly containerBundle: string;
  /** A folder for the exec's monitor socket and exit record; made by the caller, removed by the caller. */
  readonly bundle: string;
  readonly process: Spec["process"];
  readonly runtime?: string | undefined;
  readonly terminal: boolean;
  readonly size?: readonly [rows: number, columns: number] | undefined;
  readonly stdin: boolean;
  /** As in StartRequest. */
  readonly hold?: boolean | undefined;
}

export interface RuntimeInfo {
  readonly name: string;
  readonly path: string;
  readonly version: string;
}

export interface RuntimeSettings {
  /** Undefined: the first found. */
  readonly defaultRuntime?: string | undefined;
  /** Name → path of further runtimes. */
  readonly runtimes?: Readonly<
    Record<string, { readonly path: string; readonly runtimeArgs?: readonly string[] | undefined }>
  >;
  /** Seconds that each call of a runtime may take before it is killed with what it started; default 120. */
  readonly runtimeTimeout?: number | undefined;
}

export interface Runtime {
  /** The runtimes that were found and checked, the default first. Never empty: opening the module fails with a hint otherwise. */
  readonly runtimes: readonly RuntimeInfo[];
  /**
   * Looks for runtimes again, by other settings. Containers of one that is gone go on, and are still reached. Rejects with "invalid" when the default is
   * not among them; nothing has changed then.
   */
  configure(settings: RuntimeSettings): Promise<void>;
  /**
   * Says that a start or an exec will follow within some milliseconds, so that the kernel's slow part of it begins now. Costs next to
   * nothing; call it where such a request comes in (create, start, exec create).
   */
  prepare(): void;
  /**
   * Starts the container. Resolves when its process runs. Fails with "invalid" and Docker's text when the runtime refuses
   * (`executable file not found in $PATH`: exit code 127, `permission denied`: 126, see `startErrorExitCode`), with "internal" when it does not end in time; nothing is left then.
   */
  start(request: StartRequest): Promise<Task>;
  /** Finds a task of an earlier gantryd: still running, ended with a record, or lost without trace. */
  open(id: string, bundle: string): Promise<{ task: Task } | { exit: ExitRecord } | { lost: true }>;
  exec(request: ExecRequest): Promise<Task>;
  openExec(execId: string, bundle: string): Promise<{ task: Task } | { exit: ExitRecord } | { lost: true }>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  update(id: string, resources: Resources): Promise<void>;
  /** Pids in the container, host's numbering. */
  pids(id: string): Promise<number[]>;
  /** Removes what a lost or killed container left in the runtime and the cgroups. Idempotent. */
  cleanup(id: string): Promise<void>;
}
