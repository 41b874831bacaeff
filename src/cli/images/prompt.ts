/** Asking at the terminal. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { ExitError } from "../command.ts";
import type { Context } from "../context.ts";

export async function askLine(context: Context, question: string): Promise<string> {
  context.err.write(question);
  return await answer();
}

/** Nothing of the answer is shown. */
export async function askSecret(context: Context, question: string): Promise<string> {
  context.err.write(question);
  try {
    return await answer();
  } finally {
    context.err.write("\n");
  }
}

async function answer(): Promise<string> {
  if (!process.stdin.isTTY) throw new ExitError(1, "Error: Cannot perform an interactive login from a non TTY device");
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return (await lines.question("")).trim();
  } finally {
    lines.close();
  }
}
