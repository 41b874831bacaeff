/**
 * Mounts of what another machine may hold, by gantry-mount (native/mounter): the kernel waits there for as long as it wants, and this
 * process neither stands still nor lends it a thread.
 */
import { join } from "node:path";
import { getSystemErrorName } from "node:util";
import { EngineError, errnoOf } from "../base/errors.ts";
import { flagBits, isMountPoint, MNT_DETACH, type MountRequest, UMOUNT_NOFOLLOW } from "./mounts.ts";
import { type RunResult, run } from "./spawn.ts";

export interface FarOptions {
  /** Then the call is given up with ETIMEDOUT; default 60 s. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const PROGRAM = join(import.meta.dirname, "../../native/build/gantry-mount");
const TIMEOUT_MS = 60_000;
/** For a killed call to end: the kernel's waits for a server can be killed, but for those of a file system's last writes. */
const GRACE_MS = 5_000;

/** Targets of calls that were given up and have not ended. */
const stuck = new Set<string>();

/**
 * As `mount`; throws its errno, ETIMEDOUT when the kernel had no answer in time, EBUSY while an earlier call for the target has not ended.
 * Nothing is mounted when it throws, unless the kernel holds the call although it was killed: until that ends the target says EBUSY.
 */
export async function mountFar(request: MountRequest, options: FarOptions = {}): Promise<void> {
  const { source = "", target, type = "none", flags = [], data = "" } = request;
  try {
    await call(target, ["mount", source, target, type, String(flagBits(flags)), data], options);
  } catch (error) {
    // It may have come about in the moment in which it was given up.
    if (isGivenUp(error, options) && isMountPoint(target)) await unmountFar(target);
    throw error;
  }
}

/**
 * Takes what is mounted there out of sight, and does not wait for long for the rest: a server that is away may never answer. False when nothing
 * is mounted there.
 */
export async function unmountFar(target: string, { timeoutMs = 10_000 }: FarOptions = {}): Promise<boolean> {
  try {
    await call(target, ["unmount", target, String(UMOUNT_NOFOLLOW | MNT_DETACH)], { timeoutMs });
    return true;
  } catch (error) {
    if (errnoOf(error) === "EINVAL" || errnoOf(error) === "ENOENT") return false;
    if (errnoOf(error) === "ETIMEDOUT" && !isMountPoint(target)) return true;
    throw error;
  }
}

/** Whether a folder that may be far away holds nothing. */
export async function isEmptyFar(folder: string, options: FarOptions = {}): Promise<boolean> {
  try {
    await call(folder, ["look", folder], options);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOTEMPTY") return false;
    throw error;
  }
}

function isGivenUp(error: unknown, { signal }: FarOptions): boolean {
  return errnoOf(error) === "ETIMEDOUT" || signal?.aborted === true;
}

async function call(target: string, words: readonly string[], options: FarOptions): Promise<void> {
  const { timeoutMs = TIMEOUT_MS, signal } = options;
  if (stuck.has(target)) throw failure("EBUSY", words);
  const input = [process.pid, ...words].map((word) => `${word}\0`).join("");
  const ended = run(PROGRAM, [], { input, timeoutMs, signal, keepAlive: false });
  const result = await inTime(ended, options);
  if (result === undefined) {
    stuck.add(target);
    const forget = () => stuck.delete(target);
    ended.then(forget, forget);
  }
  signal?.throwIfAborted();
  if (result === undefined || result.signal !== null) throw failure("ETIMEDOUT", words);
  const errno = Number.parseInt(result.stdout.toString("latin1"), 10);
  if (!Number.isInteger(errno)) throw new EngineError("internal", `gantry-mount ended with ${result.code}`);
  if (errno !== 0) throw failure(getSystemErrorName(-errno), words);
}

/** Undefined when it was killed and did not end. */
async function inTime(
  ended: Promise<RunResult>,
  { timeoutMs = TIMEOUT_MS, signal }: FarOptions,
): Promise<RunResult | undefined> {
  const late = Promise.withResolvers<undefined>();
  const giveUp = () => late.resolve(undefined);
  const timer = setTimeout(giveUp, timeoutMs + GRACE_MS).unref();
  const onAbort = () => void setTimeout(giveUp, GRACE_MS).unref();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([ended, late.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function failure(code: string, [what = ""]: readonly string[]): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
