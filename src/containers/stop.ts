/** Ending processes on request: stop, restart, kill. */
import { setTimeout as sleep } from "node:timers/promises";
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { signalNumber } from "../base/signals.ts";
import type { Task } from "../runtime/runtime.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { giveUpRestart } from "./exit.ts";
import { notify } from "./notify.ts";
import { startLocked } from "./start.ts";
import { isLive, isRunning } from "./state.ts";

const SIGKILL = 9;
const SIGTERM = 15;
/** Seconds between the stop signal and SIGKILL when neither the request nor the container says. */
const DEFAULT_TIMEOUT = 10;
/** Milliseconds that a killed process may take to be gone: one in the kernel's hands cannot be killed. */
const KILL_PATIENCE = 30_000;

export interface StopOptions {
  readonly timeout?: number | undefined;
  readonly signal?: string | undefined;
}

/** "not-modified" when it does not run. */
export async function stopContainer(context: Context, container: Container, options: StopOptions): Promise<void> {
  const signal = stopSignal(container, options.signal);
  const task = await context.locks.run(container.id, () => {
    if (giveUpRestart(context, container)) return undefined;
    if (!isLive(container.state)) throw new EngineError("not-modified", `container ${container.id} is already stopped`);
    context.registry.change(container, { kind: "stop-by-hand" });
    return container.task;
  });
  if (task !== undefined) await endTask(context, container, task, signal, timeoutOf(container, options));
  notify(context, container, "stop");
}

/** See the contract. */
export async function stopAll(context: Context, { timeout }: { readonly timeout: number }): Promise<void> {
  await Promise.all(
    context.registry.all().map((container) =>
      endWithEngine(context, container, container.definition.config.StopTimeout ?? timeout).catch((error: unknown) =>
        context.logger.log("warn", "a container did not stop", {
          container: container.id,
          error: errorMessage(error),
        }),
      ),
    ),
  );
}

async function endWithEngine(context: Context, container: Container, seconds: number): Promise<void> {
  container.cancelRestart?.();
  const task = await context.locks.run(container.id, () => {
    container.keptAlive++;
    return container.task;
  });
  if (task === undefined) return;
  await endTask(context, container, task, stopSignal(container, undefined), seconds);
  notify(context, container, "stop");
}

export interface RestartOptions extends StopOptions {
  /** Counts in RestartCount: nobody asked for this one. */
  readonly counts?: boolean | undefined;
}

/** Stops it if it runs, and starts it. */
export async function restartContainer(
  context: Context,
  container: Container,
  { counts = false, ...options }: RestartOptions,
): Promise<void> {
  container.keptAlive++;
  try {
    if (isRunning(container.state)) await stopContainer(context, container, options).catch(ignoreStopped);
    await context.locks.run(container.id, async () => {
      if (isLive(container.state)) return;
      await startLocked(context, container, counts ? container.state.restartCount + 1 : 0);
    });
  } finally {
    container.keptAlive--;
  }
  notify(context, container, "restart");
}

/**
 * "conflict" when it does not run. Returns when the signal is sent; after SIGKILL, when the process has ended. `byHand`: a signal
 * that ends it is somebody's wish, and the restart policy keeps still.
 */
export async function killContainer(
  context: Context,
  container: Container,
  wished: string | undefined,
  { byHand = true } = {},
): Promise<void> {
  const signal = wished === undefined || wished === "" ? SIGKILL : parseSignal(wished);
  if (container.state.status === "restarting" && giveUpRestart(context, container)) return;
  const { task } = container;
  if (task === undefined) throw notRunning(container);
  const paused = container.state.status === "paused";
  if (byHand && endsByHand(container, signal)) context.registry.change(container, { kind: "stop-by-hand" });
  notify(context, container, "kill", { signal: String(signal) });
  await task.kill(signal).catch((error: unknown) => {
    throw errorKind(error) === "not-found" ? notRunning(container) : error;
  });
  if (paused && signal === SIGKILL) await thaw(context, container);
  if (signal === SIGKILL) await gone(container, task);
}

function notRunning(container: Container): EngineError {
  return new EngineError(
    "conflict",
    `cannot kill container: ${container.name}: container ${container.id} is not running`,
  );
}

/** Signals that are sent to end a process. What else ends one that does not handle it, such as HUP, is sent to those that do. */
const ENDING: ReadonlySet<number> = new Set(["INT", "QUIT", "ABRT", "TERM"].map((name) => signalNumber(name) ?? 0));

/**
 * Whether a signal counts as a wish for the end, so that the restart policy keeps still. For dockerd every signal does, and a
 * container that was told to read its configuration anew is not brought back after a crash.
 */
function endsByHand({ definition }: Container, signal: number): boolean {
  const own = definition.config.StopSignal;
  return signal === SIGKILL || (own ? signalNumber(own) === signal : ENDING.has(signal));
}

async function endTask(
  context: Context,
  container: Container,
  task: Task,
  signal: number,
  seconds: number,
): Promise<void> {
  notify(context, container, "kill", { signal: String(signal) });
  await task.kill(signal).catch(ignoreGone);
  if (container.state.status === "paused") await thaw(context, container);
  if (await endsWithin(task, seconds < 0 ? undefined : seconds * 1000)) return;
  notify(context, container, "kill", { signal: String(SIGKILL) });
  await task.kill(SIGKILL).catch(ignoreGone);
  await gone(container, task);
}

async function gone(container: Container, task: Task): Promise<void> {
  if (!(await endsWithin(task, KILL_PATIENCE)))
    throw new EngineError("internal", `container ${container.id} PID ${task.pid} is zombie and can not be killed`);
}

async function thaw({ runtime }: Context, { id }: Container): Promise<void> {
  await runtime.resume(id).catch(ignoreGone);
}

/** False when the time is up first. */
async function endsWithin(task: Task, milliseconds: number | undefined): Promise<boolean> {
  const ended = task.exited.then(() => true);
  if (milliseconds === undefined) return ended;
  const timer = new AbortController();
  try {
    return await Promise.race([ended, sleep(milliseconds, false, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}

function ignoreGone(error: unknown): void {
  if (errorKind(error) !== "not-found") throw error;
}

function ignoreStopped(error: unknown): void {
  if (errorKind(error) !== "not-modified") throw error;
}

function timeoutOf({ definition }: Container, { timeout }: StopOptions): number {
  return timeout ?? definition.config.StopTimeout ?? DEFAULT_TIMEOUT;
}

function stopSignal({ definition }: Container, wished: string | undefined): number {
  if (wished) return parseSignal(wished);
  return signalNumber(definition.config.StopSignal ?? "") ?? SIGTERM;
}

/** Throws "invalid" with Docker's text. */
export function parseSignal(text: string): number {
  const signal = signalNumber(text);
  if (signal === undefined) throw new EngineError("invalid", `invalid signal: ${text}`);
  return signal;
}
