/** Processes, by posix_spawn: its cost does not grow with this process's memory. */
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { EngineError, errnoOf } from "../base/errors.ts";
import { native } from "./native.ts";

export interface SpawnRequest {
  /** Found in this process's PATH when it has no "/". */
  readonly file: string;
  /** Without argv[0]. */
  readonly args: readonly string[];
  /** Default: PATH alone. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Descriptor i of the child; "null" is /dev/null. Default: three times /dev/null. Every other descriptor is closed in the child. */
  readonly stdio?: readonly (number | "null")[] | undefined;
  /** A session of its own, out of reach of our terminal's signals. */
  readonly session?: boolean | undefined;
  /** Whether this process stays up for the child's exit; default true. */
  readonly keepAlive?: boolean | undefined;
}

/** One of the two is a number. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: number | null;
}

export interface Child {
  readonly pid: number;
  /** Never rejects. The child is reaped. */
  readonly exited: Promise<ProcessExit>;
}

export interface RunOptions {
  readonly input?: string | Uint8Array | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Killed after this, with what it started; default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Of each of stdout and stderr; "too-large" and killed past it; default 16 MiB. */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** As in SpawnRequest. */
  readonly keepAlive?: boolean | undefined;
}

export interface RunResult extends ProcessExit {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** For the pipes of a command that ended, or was killed, to end or to be silent. */
const GRACE_MS = 500;
const DEFAULT_ENV = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

/** Starts a process. Throws ENOENT, EACCES … when it can't be. */
export function spawn({
  file,
  args,
  env = DEFAULT_ENV,
  cwd,
  stdio = ["null", "null", "null"],
  session,
  keepAlive = true,
}: SpawnRequest): Child {
  const { promise, resolve } = Promise.withResolvers<ProcessExit>();
  const pid = native.spawn(
    file,
    [file, ...args],
    Object.entries(env).map(([name, value]) => `${name}=${value}`),
    cwd ?? null,
    stdio.map((fd) => (fd === "null" ? -1 : fd)),
    session ? 1 : 0,
    (code, signal) => resolve(signal === 0 ? { code, signal: null } : { code: null, signal }),
    keepAlive ? 1 : 0,
  );
  return { pid, exited: promise };
}

/** A close-on-exec pipe: [to read from, to write to]. */
export function pipe(): [number, number] {
  return native.pipe();
}

/** kill(2) for any signal number; throws ESRCH when there is no such process. */
export function killProcess(pid: number, signal: number): void {
  native.killProcess(pid, signal);
}

/** Ends a child of ours that may have ended just now, unheard of yet. */
export function endChild({ pid }: Child): void {
  try {
    killProcess(pid, 9);
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

/**
 * Runs a short command to its end. A failing exit code is the caller's to judge; it does not throw for it. What the command leaves running on purpose,
 * as helpers of mount(8) do, goes on; when it holds the command's output, that is read until it falls silent.
 */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input, env, cwd, timeoutMs = 30_000, maxBytes = 16 << 20, signal, keepAlive } = options;
  signal?.throwIfAborted();
  const [out, err] = [pipe(), pipe()];
  const stdin = input === undefined ? undefined : pipe();
  let child: Child;
  try {
    child = spawn({ file, args, env, cwd, session: true, keepAlive, stdio: [stdin?.[0] ?? "null", out[1], err[1]] });
  } catch (error) {
    for (const fd of [out[0], err[0], ...(stdin === undefined ? [] : [stdin[1]])]) closeSync(fd);
    throw error;
  } finally {
    for (const fd of [out[1], err[1], ...(stdin === undefined ? [] : [stdin[0]])]) closeSync(fd);
  }
  let over = false;
  const [stdout, stderr] = [reading(out[0]), reading(err[0])];
  const kill = () => {
    if (!over) endGroup(child);
    // Nobody waits for a process that left the group and holds the pipes.
    for (const stream of [stdout, stderr]) setTimeout(() => stream.destroy(), GRACE_MS).unref();
  };
  const timer = setTimeout(kill, timeoutMs);
  signal?.addEventListener("abort", kill, { once: true });
  if (stdin !== undefined) feed(stdin[1], input ?? "");
  try {
    const exit = child.exited.then((exit) => {
      over = true;
      for (const stream of [stdout, stderr]) letGoWhenSilent(stream);
      return exit;
    });
    const [result, printed, complained] = await Promise.all([
      exit,
      collect(stdout, maxBytes, kill),
      collect(stderr, maxBytes, kill),
    ]);
    signal?.throwIfAborted();
    return { ...result, stdout: printed, stderr: complained };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", kill);
  }
}

/** A child that stops reading (EPIPE) is its own affair: its exit code says what went wrong. */
function feed(fd: number, input: string | Uint8Array): void {
  const stream = new Socket({ fd, readable: false, writable: true });
  stream.on("error", () => {});
  stream.end(input);
}

/** A socket, not a file stream: that would hold a thread of the pool for as long as the command is silent, and four of them all. */
function reading(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: false });
}

async function collect(stream: Socket, maxBytes: number, kill: () => void): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) {
        kill();
        throw new EngineError("too-large", `a command printed more than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    // It was killed and its pipe is still held by another.
    if (errnoOf(error) !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
  return Buffer.concat(chunks);
}

/** What its writer wrote before its end is in the pipe, and read while the loop turns: one that brought nothing is another's that holds it. */
function letGoWhenSilent(stream: Socket, seen = stream.bytesRead): void {
  setTimeout(() => {
    // Timers go before reading: a loop that was held up reads first.
    setImmediate(() => {
      if (stream.destroyed) return;
      if (stream.bytesRead > seen) letGoWhenSilent(stream);
      else stream.destroy();
    });
  }, GRACE_MS).unref();
}

/** A child that was started with a session of its own, and what is still in it. */
function endGroup({ pid }: Child): void {
  try {
    killProcess(-pid, 9);
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}
