/** One instruction on its way from a logical line to a value: what the readers of table.ts work with. */
import { type SplitCommand, splitCommand } from "./command-line.ts";
import { DockerfileError } from "./errors.ts";
import type { CommandLine, Heredoc, InstructionName, Position, Range, Word } from "./language.ts";
import { type LogicalLine, positionOf } from "./logical-lines.ts";
import { WORD_LIMIT } from "./source.ts";
import { suggestion } from "./suggest.ts";
import { parseJsonList, splitAtSpaces, splitWords, type Token } from "./words.ts";

/** How often a flag may stand and whether it has a value. */
export type FlagKind = "text" | "texts" | "switch";

interface LineParts {
  readonly file: string;
  readonly text: string;
  readonly logical: LogicalLine;
  readonly command: SplitCommand;
  readonly name: InstructionName;
  readonly escapeChar: string;
  readonly heredocs: readonly Heredoc[];
  readonly end: Position;
}

export class InstructionLine {
  readonly name: InstructionName;
  /** What comes after keyword and flags. */
  readonly rest: Token;
  readonly escapeChar: string;
  readonly heredocs: readonly Heredoc[];
  readonly flagTokens: readonly Token[];
  readonly #parts: LineParts;
  #flags: ReadonlyMap<string, readonly Token[]> = new Map();
  #heredocsByName: ReadonlyMap<string, Heredoc> | undefined;

  constructor(parts: LineParts) {
    this.name = parts.name;
    this.rest = parts.command.rest;
    this.escapeChar = parts.escapeChar;
    this.heredocs = parts.heredocs;
    this.flagTokens = parts.command.flags;
    this.#parts = parts;
  }

  /** The last of this name. */
  heredocNamed(name: string): Heredoc | undefined {
    this.#heredocsByName ??= new Map(this.heredocs.map((heredoc) => [heredoc.name, heredoc]));
    return this.#heredocsByName.get(name);
  }

  get range(): Range {
    return { start: positionOf(this.#parts.logical, 0), end: this.#parts.end };
  }

  /** The same line read as what follows ONBUILD. */
  trigger(name: InstructionName): InstructionLine {
    const { rest } = this;
    const { keyword, flags, rest: inner } = splitCommand(rest.text);
    const moved = ({ text, offset }: Token) => ({ text, offset: offset + rest.offset });
    const command = { keyword: moved(keyword), flags: flags.map(moved), rest: moved(inner) };
    return new InstructionLine({ ...this.#parts, command, name });
  }

  at(offset: number): Position {
    return positionOf(this.#parts.logical, offset);
  }

  word({ text, offset }: Token): Word {
    return { text, at: this.at(offset) };
  }

  /** `token` is what is wrong; without it the whole instruction is. */
  failure(message: string, token?: Token | undefined, hint?: string | undefined): DockerfileError {
    const { file, text } = this.#parts;
    const { start, end } = this.range;
    const range = { start: token === undefined ? start : this.at(token.offset), end };
    return new DockerfileError(`dockerfile parse error on line ${start.line}: ${message}`, { file, text, range }, hint);
  }

  /** Checks the flags against those that the instruction knows. Throws DockerfileError. */
  readFlags(known: Readonly<Record<string, FlagKind>>): void {
    const flags = new Map<string, Token[]>();
    for (const token of this.#bounded(this.flagTokens)) {
      const { name, value } = this.#readFlag(token, known);
      const before = flags.get(name);
      if (before !== undefined && known[name] !== "texts")
        throw this.failure(`duplicate flag specified: ${name}`, token);
      if (before === undefined) flags.set(name, [value]);
      else before.push(value);
    }
    this.#flags = flags;
  }

  #readFlag(token: Token, known: Readonly<Record<string, FlagKind>>): { name: string; value: Token } {
    const equals = token.text.indexOf("=");
    const name = token.text.slice(2, equals < 0 ? undefined : equals);
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) throw this.failure(`unknown flag: --${name}${suggestion(name, Object.keys(known))}`, token);
    if (equals < 0 && kind !== "switch") throw this.failure(`missing a value on flag: ${name}`, token);
    const value = equals < 0 ? "true" : token.text.slice(equals + 1);
    if (kind === "switch") this.#checkSwitch(name, value, token);
    return { name, value: { text: value, offset: token.offset + (equals < 0 ? 0 : equals + 1) } };
  }

  #checkSwitch(name: string, value: string, token: Token): void {
    if (value === "") throw this.failure(`missing a value on flag: ${name}`, token);
    if (!/^(?:true|false)$/i.test(value))
      throw this.failure(`expecting boolean value for flag ${name}, not: ${value}`, token);
  }

  flagValues(name: string): readonly Token[] {
    return this.#flags.get(name) ?? [];
  }

  /** Undefined also for an empty value. */
  flag(name: string): Word | undefined {
    const token = this.flagValues(name)[0];
    return token === undefined || token.text === "" ? undefined : this.word(token);
  }

  switch(name: string): boolean | undefined {
    const value = this.flagValues(name)[0]?.text.toLowerCase();
    return value === undefined ? undefined : value === "true";
  }

  /** The rest as a JSON array, or undefined when it is none. Throws when there is more than strings in it. */
  jsonList(token = this.rest): readonly string[] | undefined {
    const list = parseJsonList(token.text);
    if (list.kind === "mixed")
      throw this.failure("when using JSON array syntax, arrays must be comprised of strings only", token);
    return list.kind === "list" ? this.#bounded(list.items) : undefined;
  }

  /** Exec form or shell form. */
  commandLine(token = this.rest): CommandLine {
    const args = this.jsonList(token);
    return args === undefined ? { form: "shell", text: token.text } : { form: "exec", args };
  }

  /** Words between spaces. */
  spaced(): readonly Token[] {
    return this.#bounded(splitAtSpaces(this.rest.text, this.rest.offset));
  }

  /** Words between spaces, quotes heeded. */
  quoted(): readonly Token[] {
    return this.#bounded(splitWords(this.rest.text, this.rest.offset, this.escapeChar));
  }

  #bounded<T>(words: readonly T[]): readonly T[] {
    if (words.length > WORD_LIMIT) throw this.failure(`${this.name} has more than ${WORD_LIMIT} arguments`);
    return words;
  }

  /** A JSON array, or words between spaces. In the array all words stand where it begins. */
  list(): readonly Token[] {
    const { rest } = this;
    return this.jsonList()?.map((text) => ({ text, offset: rest.offset })) ?? this.spaced();
  }

  /** The rest as one argument. */
  single(): Word {
    if (this.rest.text === "") throw this.failure(`${this.name} requires exactly one argument`);
    return this.word(this.rest);
  }

  atLeastOne(tokens: readonly Token[]): readonly Token[] {
    if (tokens.length === 0) throw this.failure(`${this.name} requires at least one argument`);
    return tokens;
  }
}
