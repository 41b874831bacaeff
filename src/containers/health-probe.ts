/** One run of a health check's command inside its container. */
import type { HealthConfig, HealthcheckResult } from "../api/types/container.ts";
import { errorMessage } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { timestamp } from "../base/time.ts";
import type { Task } from "../runtime/runtime.ts";
import { startErrorExitCode } from "../runtime/start-errors.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { spawnExec } from "./exec.ts";

const KEPT_OUTPUT = 4096;
const NANOSECONDS = 1e6;
/** Milliseconds for what a check that was killed has written. */
const LAST_WORDS = 500;

export interface Probe {
  readonly command: readonly string[];
  /** Milliseconds. */
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
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

export async function runProbe(
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
  if (await endsWithin(task.exited, timeout)) return done((await task.exited).exitCode, textOf(await output.all));
  await task.kill(9).catch(() => {});
  await endsWithin(output.all, LAST_WORDS);
  const seconds = timeout >= 1000 ? `${timeout / 1000}s` : `${timeout}ms`;
  const words = textOf(output.chunks);
  return done(-1, `Health check exceeded timeout (${seconds})${words === "" ? "" : `: ${words}`}`);
}

async function endsWithin(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), milliseconds);
  const ended = await Promise.race([work.then(() => true), late.promise]);
  clearTimeout(timer);
  return ended;
}

interface Collected {
  /** What came so far: the first bytes of both streams, framed. */
  readonly chunks: Buffer[];
  /** The same at the end. */
  readonly all: Promise<Buffer[]>;
}

function collect(task: Task): Collected {
  const chunks: Buffer[] = [];
  return { chunks, all: fill(chunks, task) };
}

async function fill(chunks: Buffer[], task: Task): Promise<Buffer[]> {
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
  return chunks;
}

/** Cut off where it is long, as Docker does. */
function textOf(frames: readonly Buffer[]): string {
  const text = payloadOf(Buffer.concat(frames));
  return text.length > KEPT_OUTPUT ? `${text.subarray(0, KEPT_OUTPUT)}...` : text.toString();
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
