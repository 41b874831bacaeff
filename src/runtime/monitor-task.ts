/** A task seen through its monitor: events on one channel, each request on a connection of its own. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { getSystemErrorMap } from "node:util";
import { EngineError } from "../base/errors.ts";
import { killProcess } from "../kernel/spawn.ts";
import {
  connectMonitor,
  encodeRequest,
  type Frame,
  isGone,
  OP,
  type Op,
  readFrame,
  readFrames,
  request,
} from "./monitor-wire.ts";
import type { AttachOptions, AttachStream, ExitRecord, Task, TaskNotice } from "./runtime.ts";

/** What the monitor says about a task; the exit's fields once it ended. */
export interface TaskState extends Partial<ExitRecord> {
  readonly pid: number;
  readonly startedAt: string;
  readonly oomFile?: string | undefined;
}

export interface TaskOptions {
  readonly id: string;
  readonly dir: string;
  readonly state: TaskState;
  readonly oomFile?: string | undefined;
  /** Where OP.exit and OP.released arrive; its end means that the monitor is gone. */
  readonly events: Socket;
  /** Cleans up in the monitor's place when it vanished without doing so. */
  readonly cleanup?: (() => Promise<unknown>) | undefined;
}

const ATTACH = { input: 1, pending: 2, noStdout: 4, noStderr: 8 } as const;

export class MonitoredTask implements Task {
  readonly id: string;
  readonly startedAt: string;
  readonly exited: Promise<ExitRecord>;
  readonly released: Promise<void>;
  readonly #dir: string;
  readonly #oomFile: string | undefined;
  readonly #events: Socket;
  readonly #cleanup: (() => Promise<unknown>) | undefined;
  readonly #resolveExited: (record: ExitRecord) => void;
  readonly #resolveReleased: () => void;
  #pid: number;
  #listener: (notice: TaskNotice) => void = () => {};
  #released = false;
  #letGo = false;

  constructor({ id, dir, state, oomFile, events, cleanup }: TaskOptions) {
    const exited = Promise.withResolvers<ExitRecord>();
    const released = Promise.withResolvers<void>();
    this.id = id;
    this.startedAt = state.startedAt;
    this.exited = exited.promise;
    this.released = released.promise;
    this.#dir = dir;
    this.#oomFile = oomFile ?? state.oomFile;
    this.#events = events;
    this.#cleanup = cleanup;
    this.#resolveExited = exited.resolve;
    this.#resolveReleased = released.resolve;
    this.#pid = state.pid;
    if (state.finishedAt !== undefined) this.#ended(state);
    readFrames(
      events,
      (frame) => this.#handle(frame),
      () => this.#gone(),
    );
  }

  get pid(): number {
    return this.#pid;
  }

  #handle(frame: Frame): void {
    if (frame.op === OP.exit) this.#ended(JSON.parse(frame.payload.toString()));
    if (frame.op === OP.released) {
      this.#released = true;
      this.#resolveReleased();
      this.#events.destroy();
    }
    if (frame.op === OP.oom) this.#listener({ kind: "oom" });
    if (frame.op === OP.lost) this.#listener({ kind: "log-lost", lines: frame.b, reason: lossReason(frame.a) });
  }

  listen(listener: (notice: TaskNotice) => void): void {
    this.#listener = listener;
  }

  async kill(signal: number): Promise<void> {
    await this.#request(OP.kill, { a: signal });
  }

  async killAll(signal: number): Promise<void> {
    const cgroup = this.#oomFile === undefined ? undefined : dirname(this.#oomFile);
    if (cgroup === undefined || !existsSync(cgroup)) return this.kill(signal);
    for (const pid of processesBelow(cgroup)) killIfThere(pid, signal);
  }

  async resize(rows: number, columns: number): Promise<void> {
    await this.#request(OP.resize, { a: rows, b: columns });
  }

  proceed(): void {
    request(this.#dir, OP.proceed).catch(() => {});
  }

  async attach({
    stdin = false,
    stdout = true,
    stderr = true,
    pending = true,
  }: AttachOptions = {}): Promise<AttachStream> {
    const flags =
      (stdin ? ATTACH.input : 0) |
      (pending ? ATTACH.pending : 0) |
      (stdout ? 0 : ATTACH.noStdout) |
      (stderr ? 0 : ATTACH.noStderr);
    const socket = await this.#connect();
    socket.on("error", () => {});
    socket.write(encodeRequest(OP.attach, { flags }));
    try {
      const { payload } = await readFrame(socket);
      const logPosition = {
        generation: Number(payload.readBigUInt64LE(0)),
        offset: Number(payload.readBigUInt64LE(8)),
      };
      // The monitor waits for our side to close, so that what is still being written to it makes no error.
      socket.once("end", () => socket.destroySoon());
      return { output: socket, input: socket, logPosition, close: () => socket.destroy() };
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  release(): void {
    this.#letGo = true;
    this.#events.destroy();
  }

  async #connect(): Promise<Socket> {
    try {
      return await connectMonitor(this.#dir);
    } catch (error) {
      if (isGone(error)) throw new EngineError("not-found", "the process has ended", { cause: error });
      throw error;
    }
  }

  async #request(op: Op, values: { a?: number; b?: number }): Promise<void> {
    let errno: number;
    try {
      errno = await request(this.#dir, op, values);
    } catch (error) {
      if (!isGone(error) && !(error instanceof EngineError)) throw error;
      throw new EngineError("not-found", "the process has ended", { cause: error });
    }
    if (errno === constants.errno.ESRCH) throw new EngineError("not-found", "the process has ended");
    if (errno === constants.errno.ENOTTY) throw new EngineError("conflict", "the process has no terminal");
    if (errno === constants.errno.EINVAL)
      throw new EngineError("invalid", "the monitor refused the request as invalid");
    if (errno !== 0) throw new EngineError("internal", `the monitor failed: errno ${errno}`);
  }

  #ended(record: TaskState): void {
    this.#pid = 0;
    this.#resolveExited(exitRecordOf(record));
  }

  /** The channel ended. Without a word before it the monitor was killed: its record, if it wrote one, still counts. */
  #gone(): void {
    if (this.#letGo || this.#released) return;
    this.#pid = 0;
    this.#resolveExited(readExitRecord(this.#dir) ?? lostRecord());
    const cleaned = this.#cleanup?.() ?? Promise.resolve();
    cleaned.then(
      () => this.#resolveReleased(),
      () => this.#resolveReleased(),
    );
  }
}

/** The record in a task's folder; undefined when there is none or it makes no sense. */
export function readExitRecord(dir: string): ExitRecord | undefined {
  try {
    const state: TaskState = JSON.parse(readFileSync(join(dir, "exit"), "utf8"));
    return state.finishedAt === undefined ? undefined : exitRecordOf(state);
  } catch {
    return undefined;
  }
}

function exitRecordOf({ exitCode = 255, signal, oomKilled = false, finishedAt = "" }: TaskState): ExitRecord {
  return Object.freeze({ exitCode, ...(signal !== undefined && { signal }), oomKilled, finishedAt });
}

/** For a process whose end nobody saw. */
function lostRecord(): ExitRecord {
  return Object.freeze({ exitCode: 255, oomKilled: false, finishedAt: new Date().toISOString() });
}

function lossReason(errno: number): string {
  return errno === 0 ? "the disk could not keep up" : (getSystemErrorMap().get(-errno)?.[1] ?? `errno ${errno}`);
}

function processesBelow(cgroup: string): number[] {
  const own = readFileSync(join(cgroup, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  const children = readdirSync(cgroup, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return own.concat(...children.map((child) => processesBelow(join(cgroup, child.name))));
}

function killIfThere(pid: number, signal: number): void {
  try {
    killProcess(pid, signal);
  } catch {
    // It ended by itself meanwhile.
  }
}
