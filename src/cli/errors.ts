/** Errors as docker prints them, and the exit codes that go with them. */
import { EngineError, errorMessage } from "../base/errors.ts";
import { DaemonAnswer } from "../client/transport.ts";
import { ExitError } from "./command.ts";
import type { Context } from "./context.ts";

export function isDaemonAnswer(error: unknown): boolean {
  return error instanceof EngineError && error.cause instanceof DaemonAnswer;
}

/** "Error response from daemon: …" for what the daemon answered; its hint on a line of its own. */
export function errorText(error: unknown): string {
  const message = isDaemonAnswer(error) ? `Error response from daemon: ${errorMessage(error)}` : errorMessage(error);
  // Not by class: what the bundle does not hold has a class of its own.
  const hint = (error as { readonly hint?: unknown } | null)?.hint;
  return typeof hint !== "string" ? message : `${message}\n${hint}`;
}

/** Prints it; the exit code. */
export function reportError(error: unknown, write: (text: string) => void, debug: boolean): number {
  if (error instanceof ExitError) {
    if (error.message !== "") write(`${error.message}\n`);
    return error.code;
  }
  write(`${errorText(error)}\n`);
  if (debug && error instanceof Error) write(`${error.stack}\n`);
  return 1;
}

/**
 * Does it for each name in its turn, or at once; prints the name that `act` resolves with, goes on after errors and tells
 * them as they come. 1 if there was one.
 */
export async function forEachName(
  context: Context,
  names: readonly string[],
  act: (name: string) => Promise<string | undefined>,
  { parallel = false }: { readonly parallel?: boolean } = {},
): Promise<number> {
  const complaints: string[] = [];
  const one = async (name: string) => {
    try {
      return { done: await act(name) };
    } catch (error) {
      return { complaint: errorText(error) };
    }
  };
  const tell = ({ done, complaint }: { done?: string | undefined; complaint?: string }) => {
    if (done !== undefined) context.out.write(`${done}\n`);
    if (complaint !== undefined) complaints.push(complaint);
  };
  if (parallel) for (const result of names.map(one)) tell(await result);
  else for (const name of names) tell(await one(name));
  if (complaints.length > 0) context.err.write(`${complaints.join("\n")}\n`);
  return complaints.length > 0 ? 1 : 0;
}
