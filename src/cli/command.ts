/**
 * What a command is: data (usage, flags, positionals) from which parsing, help and completion come, and `run`.
 *
 * A command's file is loaded only when it is the one to run, to explain or to complete. It reads what it needs from the
 * context and resolves with the process's exit code (undefined: 0). What it throws is printed as docker prints it.
 */
import type { Context } from "./context.ts";
import type { ArgumentsSpec, CompletionKind, FlagSpec, ParsedFlags } from "./flags/spec.ts";

export interface Command {
  /** What follows the name: "[OPTIONS] IMAGE [COMMAND] [ARG...]". */
  readonly usage: string;
  readonly flags?: readonly FlagSpec[];
  readonly arguments: ArgumentsSpec;
  /** False: the first positional ends the flags, since another program's words follow. Default true. */
  readonly interspersed?: boolean;
  /** Everything after the name is the command's own to read; flags serve help alone. */
  readonly raw?: boolean;
  /** What its positionals name. */
  readonly complete?: CompletionKind;
  run(context: Context, parsed: ParsedFlags): Promise<number | undefined>;
}

export const NO_ARGUMENTS: ArgumentsSpec = { min: 0, max: 0 };
export const ONE_ARGUMENT: ArgumentsSpec = { min: 1, max: 1 };
export const SOME_ARGUMENTS: ArgumentsSpec = { min: 1, max: Number.POSITIVE_INFINITY };
export const ANY_ARGUMENTS: ArgumentsSpec = { min: 0, max: Number.POSITIVE_INFINITY };

/** Ends the command with this exit code; the message, if there is one, goes to standard error as it is. */
export class ExitError extends Error {
  readonly code: number;
  constructor(code: number, message = "") {
    super(message);
    this.code = code;
  }
}
