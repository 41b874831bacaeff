/** COPY and ADD. */
import { parseMark } from "./heredocs.ts";
import type { InstructionLine } from "./instruction-line.ts";
import type { Copy, Heredoc } from "./language.ts";
import { checkMode } from "./mode.ts";
import type { Body } from "./table.ts";
import type { Token } from "./words.ts";

const COMMON_FLAGS = { chown: "text", chmod: "text", link: "switch", exclude: "texts" } as const;
export const COPY_FLAGS = { from: "text", ...COMMON_FLAGS, parents: "switch" } as const;
export const ADD_FLAGS = { ...COMMON_FLAGS, "keep-git-dir": "switch", checksum: "text", unpack: "switch" } as const;

const NO_VARIABLES_IN_FROM =
  "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";

export function readCopy(line: InstructionLine): Body<"COPY"> {
  const common = readCommon(line);
  const from = line.flag("from");
  if (from !== undefined && /\$[\w{]|['"\\]/.test(from.text))
    throw line.failure(NO_VARIABLES_IN_FROM, line.flagValues("from")[0]);
  return { ...common, from, parents: line.switch("parents") ?? false };
}

export function readAdd(line: InstructionLine): Body<"ADD"> {
  return {
    ...readCommon(line),
    checksum: line.flag("checksum"),
    keepGitDir: line.switch("keep-git-dir"),
    unpack: line.switch("unpack"),
  };
}

function readCommon(line: InstructionLine): Omit<Body<"COPY">, "from" | "parents"> {
  const tokens = line.list();
  const destination = tokens.at(-1);
  if (tokens.length < 2 || destination === undefined) {
    const reason = "but only one was provided. Destination could not be determined";
    throw line.failure(`${line.name} requires at least two arguments, ${reason}`);
  }
  if (heredocOf(line, destination) !== undefined)
    throw line.failure(`${line.name} cannot accept a heredoc as a destination`, destination);
  return {
    ...readSources(line, tokens.slice(0, -1)),
    destination: line.word(destination),
    chown: line.flag("chown"),
    chmod: readMode(line),
    link: line.switch("link") ?? false,
    excludes: line.flagValues("exclude").map((token) => line.word(token)),
  };
}

function readSources(line: InstructionLine, tokens: readonly Token[]): Pick<Copy, "sources" | "heredocs"> {
  const heredocs = tokens.map((token) => heredocOf(line, token));
  return {
    sources: tokens.filter((_, index) => heredocs[index] === undefined).map((token) => line.word(token)),
    heredocs: heredocs.filter((heredoc) => heredoc !== undefined),
  };
}

/** The document that a word stands for; a word of the JSON form is a path whatever it looks like. */
function heredocOf(line: InstructionLine, { text }: Token): Heredoc | undefined {
  return line.heredocs.length === 0 ? undefined : line.heredocNamed(parseMark(text)?.name ?? "");
}

function readMode(line: InstructionLine): Body<"COPY">["chmod"] {
  const mode = line.flag("chmod");
  const problem = mode === undefined || mode.text.includes("$") ? undefined : checkMode(mode.text);
  if (problem !== undefined) throw line.failure(problem, line.flagValues("chmod")[0]);
  return mode;
}
