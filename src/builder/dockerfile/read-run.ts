import { parseCsvLine } from "./csv.ts";
import type { InstructionLine } from "./instruction-line.ts";
import type { MountFlag, Word } from "./language.ts";
import { checkMountOption, type MountOption, readMountOptions } from "./mounts.ts";
import type { Body } from "./table.ts";
import type { Token } from "./words.ts";

export const RUN_FLAGS = { mount: "texts", network: "text", security: "text" } as const;

const NETWORKS = new Set(["default", "none", "host"]);
const SECURITY = new Set(["sandbox", "insecure"]);

export function readRun(line: InstructionLine): Body<"RUN"> {
  const command = line.commandLine();
  if (command.form === "exec" ? command.args.length === 0 : command.text === "")
    throw line.failure("RUN requires at least one argument");
  return {
    command,
    heredocs: line.heredocs,
    mounts: line.flagValues("mount").map((token) => readMount(line, token)),
    network: readChoice(line, "network", NETWORKS, (value) => `invalid network mode "${value}"`),
    security: readChoice(line, "security", SECURITY, (value) => `security "${value}" is not valid`),
    flags: line.flagTokens.map((token) => line.word(token)),
  };
}

/** Options without variables are checked here already, not only when the step is reached. */
function readMount(line: InstructionLine, token: Token): MountFlag {
  try {
    const options = readFields(token.text).map(readOption);
    options.forEach(checkMountOption);
    if (!token.text.includes("$")) readMountOptions(options);
    return { at: line.at(token.offset), options };
  } catch (error) {
    if (error instanceof SyntaxError) throw line.failure(error.message, token);
    throw error;
  }
}

function readFields(text: string): string[] {
  try {
    return parseCsvLine(text);
  } catch (error) {
    throw new SyntaxError(`failed to parse csv mounts: ${(error as Error).message}`);
  }
}

function readOption(field: string): MountOption {
  const equals = field.indexOf("=");
  if (equals < 0) return { name: field.toLowerCase() };
  return { name: field.slice(0, equals).toLowerCase(), value: field.slice(equals + 1) };
}

function readChoice(
  line: InstructionLine,
  name: string,
  known: ReadonlySet<string>,
  problem: (value: string) => string,
): Word | undefined {
  const token = line.flagValues(name)[0];
  if (token === undefined) return undefined;
  if (!known.has(token.text)) throw line.failure(problem(token.text), token);
  return line.word(token);
}
