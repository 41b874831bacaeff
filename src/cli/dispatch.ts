/** From the words to the command: finds it, loads its file, reads its flags, runs it, tells what went wrong. */
import { absent, isAbsent } from "./absent.ts";
import { type Command, ExitError } from "./command.ts";
import { COMMANDS, type Entry, GROUPS } from "./commands/table.ts";
import { createContext, type Environment } from "./context.ts";
import { reportError } from "./errors.ts";
import { FlagError, HelpRequested, parseFlags } from "./flags/parse.ts";
import type { ParsedFlags } from "./flags/spec.ts";
import { GLOBAL_FLAGS } from "./globals.ts";
import { fileOutput } from "./output.ts";

const PROGRAM = "gantry";
const USAGE_EXIT = 125;

const out = fileOutput(1);
const err = fileOutput(2);

/** Resolves with the exit code. */
export async function main(argv: readonly string[], env: Environment): Promise<number> {
  let debug = false;
  try {
    const globals = parse(GLOBAL_FLAGS, argv, false, `${PROGRAM} [OPTIONS] COMMAND [ARG...]`, PROGRAM);
    if (globals === undefined) return await showHelp([]);
    debug = globals.bool("debug");
    return await dispatch(globals, env);
  } catch (error) {
    return reportError(error, (text) => err.write(text), debug);
  }
}

async function dispatch(globals: ParsedFlags, env: Environment): Promise<number> {
  const words = globals.positional;
  if (globals.bool("version")) return (await import("./commands/version.ts")).printShort(out);
  if (words[0] === "help") return await showHelp(words.slice(1));
  const found = find(words);
  if (found === undefined && isAbsent(words))
    return await absent(
      createContext({ program: PROGRAM, name: `${PROGRAM} ${words.join(" ")}`, globals, env }),
      words,
    );
  if (found === undefined) return await withoutCommand(words);
  const command = await found.entry.load();
  const name = `${PROGRAM} ${found.name}`;
  const usage = `${name} ${command.usage}`.trimEnd();
  const parsed = command.raw
    ? parseFlags([], ["--", ...found.rest], { interspersed: true })
    : parse(command.flags ?? [], found.rest, command.interspersed ?? true, usage, name);
  if (parsed === undefined) return await showHelp(words.slice(0, words.length - found.rest.length));
  checkCount(command, parsed.positional.length, name, usage);
  const context = createContext({ program: PROGRAM, name, globals, env });
  return (await command.run(context, parsed)) ?? 0;
}

interface Found {
  readonly entry: Entry;
  readonly name: string;
  readonly rest: readonly string[];
}

/** The longest name wins: "container ls" before a command "container". */
export function find(words: readonly string[]): Found | undefined {
  for (const count of [2, 1]) {
    const name = words.slice(0, count).join(" ");
    const entry = words.length >= count ? COMMANDS.find(({ names }) => names.includes(name)) : undefined;
    if (entry !== undefined) return { entry, name, rest: words.slice(count) };
  }
  return undefined;
}

/** Undefined: help was asked for. */
function parse(
  flags: Command["flags"] & {},
  words: readonly string[],
  interspersed: boolean,
  usage: string,
  name: string,
): ParsedFlags | undefined {
  try {
    return parseFlags(flags, words, { interspersed });
  } catch (error) {
    if (error instanceof HelpRequested) return undefined;
    if (!(error instanceof FlagError)) throw error;
    throw new ExitError(
      USAGE_EXIT,
      `${error.message}\n\nUsage:  ${usage}\n\nRun '${name} --help' for more information`,
    );
  }
}

function checkCount({ arguments: { min, max } }: Command, count: number, name: string, usage: string): void {
  if (count >= min && count <= max) return;
  const plural = (number: number) => `${number} argument${number === 1 ? "" : "s"}`;
  const wanted =
    max === 0
      ? "accepts no arguments"
      : min === max
        ? `requires ${plural(min)}`
        : max === Number.POSITIVE_INFINITY
          ? `requires at least ${plural(min)}`
          : min === 0
            ? `requires at most ${plural(max)}`
            : `requires at least ${min} and at most ${plural(max)}`;
  const see = max === Number.POSITIVE_INFINITY ? "See" : "Run";
  throw new ExitError(
    1,
    `${PROGRAM}: '${name}' ${wanted}\n\nUsage:  ${usage}\n\n${see} '${name} --help' for more information`,
  );
}

async function withoutCommand(words: readonly string[]): Promise<number> {
  const [first, second] = words;
  if (first === undefined) return await showHelp([]);
  if (!(first in GROUPS))
    throw new ExitError(
      1,
      `${PROGRAM}: unknown command: ${PROGRAM} ${first}\n\nRun '${PROGRAM} --help' for more information`,
    );
  if (second === undefined || second === "--help" || second === "-h") return await showHelp([first]);
  if (second.startsWith("-"))
    throw new ExitError(
      USAGE_EXIT,
      `unknown flag: ${second}\n\nUsage:  ${PROGRAM} ${first} COMMAND\n\nRun '${PROGRAM} ${first} --help' for more information`,
    );
  throw new ExitError(
    1,
    `${PROGRAM}: unknown command: ${PROGRAM} ${first} ${second}\n\nUsage:  ${PROGRAM} ${first}\n\nRun '${PROGRAM} ${first} --help' for more information`,
  );
}

async function showHelp(words: readonly string[]): Promise<number> {
  const { commandHelp, groupHelp, mainHelp } = await import("./help.ts");
  const found = find(words);
  if (found !== undefined) out.write(commandHelp(PROGRAM, found.entry, found.name, await found.entry.load()));
  else if (words[0] === undefined) out.write(mainHelp(PROGRAM));
  else if (words[0] in GROUPS) out.write(groupHelp(PROGRAM, words[0]));
  else return await withoutCommand(words);
  return 0;
}
