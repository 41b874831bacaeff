/** Health checks: a command run inside the container every so often; three failures in a row (or as set) make it unhealthy. */
import type { Health, HealthConfig, HealthcheckResult } from "../api/types/container.ts";
import { errorMessage } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { millisecondsOf, timestamp } from "../base/time.ts";
import type { Task } from "../runtime/runtime.ts";
import { startErrorExitCode } from "../runtime/start-errors.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { spawnExec } from "./exec.ts";
import { notify } from "./notify.ts";
import { isLive } from "./state.ts";

const KEPT_RESULTS = 5;
const KEPT_OUTPUT = 4096;
const NANOSECONDS = 1e6;

interface Probe {
  readonly command: readonly string[];
  /** Milliseconds. */
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

/** Begins the checks of a container that has just started; they end with its run. */
export function watchHealth(context: Context, container: Container): void {
  container.stopHealth?.();
  const { config } = container.definition;
  const probe = probeOf(config.Healthcheck, config.Shell);
  const health = probe === undefined ? undefined : { Status: "starting", FailingStreak: 0, Log: [] };
  if (probe === undefined && container.state.health === undefined) return;
  context.registry.change(container, { kind: "health", health });
  if (probe !== undefined) begin(context, container, probe);
}

/** The checks of a container that an earlier engine watched go on. */
export function resumeHealth(context: Context, container: Container): void {
  const { config } = container.definition;
  const probe = probeOf(config.Healthcheck, config.Shell);
  if (probe !== undefined) begin(context, container, probe);
}

function begin(context: Context, container: Container, probe: Probe): void {
  let timer: NodeJS.Timeout;
  let stopped = false;
  const schedule = () => {
    timer = setTimeout(
      async () => {
        await check(context, container, probe, () => stopped);
        if (!stopped) schedule();
      },
      pauseBefore(container, probe),
    );
    timer.unref();
  };
  container.stopHealth = () => {
    stopped = true;
    clearTimeout(timer);
    container.stopHealth = undefined;
  };
  schedule();
}

function pauseBefore({ state }: Container, { interval, startInterval, startPeriod }: Probe): number {
  const starting = state.health?.Status === "starting" && Date.now() - millisecondsOf(state.startedAt) < startPeriod;
  return starting ? Math.min(startInterval, interval) : interval;
}

async function check(context: Context, container: Container, probe: Probe, stopped: () => boolean): Promise<void> {
  if (container.state.status === "paused") return;
  const result = await runProbe(context, container, probe);
  if (stopped() || !isLive(container.state)) return;
  const before = container.state.health;
  const after = judge(before, result, probe, Date.now() - millisecondsOf(container.state.startedAt));
  context.registry.change(container, { kind: "health", health: after });
  if (before?.Status !== after.Status) notify(context, container, `health_status: ${after.Status}`);
}

/** `age`: milliseconds since the start. Failures inside the start period do not count until it was healthy once. */
export function judge(
  before: Health | undefined,
  result: HealthcheckResult,
  { retries, startPeriod }: Pick<Probe, "retries" | "startPeriod">,
  age: number,
): Health {
  const { Status = "starting", FailingStreak = 0, Log = [] } = before ?? {};
  const log = [...Log, result].slice(-KEPT_RESULTS);
  if (result.ExitCode === 0) return { Status: "healthy", FailingStreak: 0, Log: log };
  if (Status === "starting" && age < startPeriod) return { Status, FailingStreak, Log: log };
  const streak = FailingStreak + 1;
  return { Status: streak >= retries ? "unhealthy" : Status, FailingStreak: streak, Log: log };
}

/** Undefined where nothing is to be checked. */
export function probeOf(
  config: HealthConfig | undefined | null,
  shell: readonly string[] | null | undefined,
): Probe | undefined {
  const [kind, ...words] = config?.Test ?? [];
  if (kind === undefined || kind === "NONE" || words.length === 0) return undefined;
  const milliseconds = (value: number | undefined, standard: number) => (value ? value / NANOSECONDS : standard);
  return {
    command: kind === "CMD-SHELL" ? [...(shell?.length ? shell : ["/bin/sh", "-c"]), ...words] : words,
    interval: milliseconds(config?.Interval, 30_000),
    timeout: milliseconds(config?.Timeout, 30_000),
    startPeriod: milliseconds(config?.StartPeriod, 0),
    startInterval: milliseconds(config?.StartInterval, 5_000),
    retries: config?.Retries || 3,
  };
}

async function runProbe(
  context: Context,
  container: Container,
  { command, timeout }: Probe,
): Promise<HealthcheckResult> {
  const Start = timestamp();
  const done = (ExitCode: number, Output: string) => ({ Start, End: timestamp(), ExitCode, Output });
  let task: Task;
  try {
    const request = { Cmd: [...command], AttachStdout: true, AttachStderr: true };
    task = await spawnExec(context, container, newId(), { request, size: undefined, hold: true, stdin: false });
  } catch (error) {
    const code = startErrorExitCode(error);
    return done(code === 128 ? -1 : code, errorMessage(error));
  }
  const output = collect(task);
  const timer = Promise.withResolvers<"late">();
  const late = setTimeout(() => timer.resolve("late"), timeout);
  const outcome = await Promise.race([task.exited, timer.promise]);
  clearTimeout(late);
  if (outcome === "late") {
    await task.kill(9).catch(() => {});
    const seconds = timeout >= 1000 ? `${timeout / 1000}s` : `${timeout}ms`;
    return done(-1, `Health check exceeded timeout (${seconds})`);
  }
  return done(outcome.exitCode, await output);
}

/** The first bytes of both streams, as text. */
async function collect(task: Task): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    const stream = await task.attach();
    task.proceed();
    for await (const chunk of stream.output as AsyncIterable<Buffer>) {
      if (size <= 2 * KEPT_OUTPUT) chunks.push(chunk);
      size += chunk.length;
    }
  } catch {
    task.proceed();
  }
  return payloadOf(Buffer.concat(chunks)).subarray(0, KEPT_OUTPUT).toString();
}

function payloadOf(frames: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= frames.length; ) {
    const length = frames.readUInt32BE(at + 4);
    parts.push(frames.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts);
}
