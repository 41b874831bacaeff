/** The instructions as a table: which flags each takes, and how the rest of its line is read. */
import type { FlagKind, InstructionLine } from "./instruction-line.ts";
import type { ArgDeclaration, Instruction, InstructionName, Pair } from "./language.ts";
import { readFrom } from "./read-from.ts";
import { HEALTH_FLAGS, readHealthcheck } from "./read-healthcheck.ts";
import { RUN_FLAGS, readRun } from "./read-run.ts";
import { ADD_FLAGS, COPY_FLAGS, readAdd, readCopy } from "./read-transfer.ts";
import { isSpace, skipSpaces, trimSpaces } from "./source.ts";
import type { Token } from "./words.ts";

/** What an instruction has beside that which all have. */
export type Body<Name extends InstructionName> = Omit<
  Extract<Instruction, { kind: Name }>,
  "kind" | "keyword" | "range" | "source" | "comments"
>;

interface Rule<Name extends InstructionName> {
  readonly flags: Readonly<Record<string, FlagKind>>;
  /** Throws DockerfileError. The flags are checked and read before. */
  readonly read: (line: InstructionLine) => Body<Name>;
  /** May have here-documents. */
  readonly heredocs?: boolean | undefined;
}

const NO_FLAGS = {};

export const INSTRUCTIONS: { readonly [Name in InstructionName]: Rule<Name> } = {
  ADD: { flags: ADD_FLAGS, read: readAdd, heredocs: true },
  ARG: { flags: NO_FLAGS, read: readArg },
  CMD: { flags: NO_FLAGS, read: (line) => ({ command: line.commandLine() }) },
  COPY: { flags: COPY_FLAGS, read: readCopy, heredocs: true },
  ENTRYPOINT: { flags: NO_FLAGS, read: (line) => ({ command: line.commandLine() }) },
  ENV: { flags: NO_FLAGS, read: readPairs },
  EXPOSE: {
    flags: NO_FLAGS,
    read: (line) => ({ ports: line.atLeastOne(line.spaced()).map((port) => line.word(port)) }),
  },
  FROM: { flags: { platform: "text" }, read: readFrom },
  HEALTHCHECK: { flags: HEALTH_FLAGS, read: readHealthcheck },
  LABEL: { flags: NO_FLAGS, read: readPairs },
  MAINTAINER: { flags: NO_FLAGS, read: (line) => ({ name: line.single() }) },
  ONBUILD: { flags: NO_FLAGS, read: readOnBuild },
  RUN: { flags: RUN_FLAGS, read: readRun, heredocs: true },
  SHELL: { flags: NO_FLAGS, read: readShell },
  STOPSIGNAL: { flags: NO_FLAGS, read: (line) => ({ signal: line.single() }) },
  USER: { flags: NO_FLAGS, read: (line) => ({ user: line.single() }) },
  VOLUME: { flags: NO_FLAGS, read: readVolume },
  WORKDIR: { flags: NO_FLAGS, read: (line) => ({ path: line.single() }) },
};

export const INSTRUCTION_NAMES = Object.keys(INSTRUCTIONS) as readonly InstructionName[];

/** Case does not matter; undefined for what is no instruction. */
export function instructionName(keyword: string): InstructionName | undefined {
  const name = keyword.toUpperCase();
  return Object.hasOwn(INSTRUCTIONS, name) ? (name as InstructionName) : undefined;
}

/** `name=value ...`, or the old `name the rest`. */
function readPairs(line: InstructionLine): { pairs: readonly Pair[]; legacy: boolean } {
  const words = line.atLeastOne(line.quoted());
  if (!words[0]?.text.includes("=")) return { pairs: [readOldPair(line)], legacy: true };
  return { pairs: words.map((word) => readPair(line, word)), legacy: false };
}

function readPair(line: InstructionLine, word: Token): Pair {
  const { name, value } = cutAtEquals(word);
  if (value === undefined) {
    const text = JSON.stringify(word.text);
    throw line.failure(`Syntax error - can't find = in ${text}. Must be of the form: name=value`, word);
  }
  if (name.text === "") throw line.failure(`${line.name} names can not be blank`, word);
  return { name: line.word(name), value: line.word(value) };
}

function readOldPair(line: InstructionLine): Pair {
  const { text, offset } = line.rest;
  let end = 0;
  while (end < text.length && !isSpace(text[end])) end++;
  if (end === text.length) throw line.failure(`${line.name} must have two arguments`, line.rest);
  const start = skipSpaces(text, end);
  const value = { text: text.slice(start), offset: offset + start };
  return { name: line.word({ text: text.slice(0, end), offset }), value: line.word(value) };
}

function cutAtEquals({ text, offset }: Token): { name: Token; value: Token | undefined } {
  const equals = text.indexOf("=");
  if (equals < 0) return { name: { text, offset }, value: undefined };
  return {
    name: { text: text.slice(0, equals), offset },
    value: { text: text.slice(equals + 1), offset: offset + equals + 1 },
  };
}

function readArg(line: InstructionLine): Body<"ARG"> {
  const words = line.atLeastOne(line.quoted());
  return { args: words.map((word) => readDeclaration(line, word)) };
}

function readDeclaration(line: InstructionLine, word: Token): ArgDeclaration {
  const { name, value } = cutAtEquals(word);
  if (name.text === "") throw line.failure("ARG names can not be blank", word);
  return { name: line.word(name), value: value === undefined ? undefined : line.word(value) };
}

const NOT_IN_TRIGGERS = new Set(["MAINTAINER", "FROM"]);

/** The trigger itself is checked by whoever reads the lines (parse.ts). */
function readOnBuild(line: InstructionLine): Body<"ONBUILD"> {
  const { text } = line.rest;
  if (text === "") throw line.failure("ONBUILD requires at least one argument");
  const name = (/^[^\s]+/.exec(text)?.[0] ?? "").toUpperCase();
  if (name === "ONBUILD") throw line.failure("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", line.rest);
  if (NOT_IN_TRIGGERS.has(name)) throw line.failure(`${name} isn't allowed as an ONBUILD trigger`, line.rest);
  return { trigger: [text, ...line.heredocs.map(({ content, name: end }) => content + end)].join("\n") };
}

function readShell(line: InstructionLine): Body<"SHELL"> {
  const shell = line.jsonList();
  if (line.rest.text === "" || shell?.length === 0) throw line.failure("SHELL requires at least one argument");
  if (shell !== undefined) return { shell };
  throw line.failure("SHELL requires the arguments to be in JSON form", line.rest, 'Write SHELL ["executable", "-c"].');
}

function readVolume(line: InstructionLine): Body<"VOLUME"> {
  const tokens = line.atLeastOne(line.list());
  const paths = tokens.map(({ text, offset }) => line.word({ text: trimSpaces(text), offset }));
  if (paths.some(({ text }) => text === ""))
    throw line.failure("VOLUME specified can not be an empty string", line.rest);
  return { paths };
}
