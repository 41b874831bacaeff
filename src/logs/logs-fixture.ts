/** What the tests of the logs share: log files written as the monitor writes them, and reading to the end. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { LogReadOptions, LogSink } from "./logs.ts";
import { openLogs } from "./open.ts";

export const EVERYTHING: LogReadOptions = { stdout: true, stderr: true, timestamps: false, framed: false };

/** A sink in a folder that goes away with the test. */
export function temporarySink(t: TestContext): LogSink & { path: string } {
  const dir = mkdtempSync(join(tmpdir(), "gantry-logs-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return { driver: "json-file", path: join(dir, "log") };
}

/** The line of one second: `at` counts seconds since the epoch. */
export function entry(log: string, { stream = "stdout", at = 0 } = {}): string {
  return `${JSON.stringify({ log, stream, time: new Date(at * 1000).toISOString() })}\n`;
}

/** Lines "line <n>" from one number to before another. */
export function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `line ${from + i}\n`);
}

export async function readAll(sink: LogSink, options: Partial<LogReadOptions> = {}): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of openLogs().read(sink, { ...EVERYTHING, ...options })) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
