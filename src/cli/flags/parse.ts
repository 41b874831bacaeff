/** Words to flags by pflag's rules: `--name value`, `--name=value`, `-n value`, `-nvalue`, `-abc`, `--`, interspersed or not. */
import type { FlagSpec, ParsedFlags } from "./spec.ts";
import {
  parseBool,
  parseBytes,
  parseCsv,
  parseDecimal,
  parseDuration,
  parseInt64,
  parseUint16,
  parseUint64,
} from "./values.ts";

/** The words are wrong; the message is pflag's. */
export class FlagError extends Error {}
/** `--help` was among them. */
export class HelpRequested extends Error {}

export interface ParseOptions {
  /** False: the first positional ends the flags, as where another command's words follow. */
  readonly interspersed: boolean;
}

export function parseFlags(
  specs: readonly FlagSpec[],
  words: readonly string[],
  { interspersed }: ParseOptions,
): ParsedFlags {
  const flags = new Flags(specs);
  const positional: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (word === "--") {
      positional.push(...words.slice(at + 1));
      break;
    }
    if (word.length < 2 || !word.startsWith("-")) {
      if (!interspersed) {
        positional.push(...words.slice(at));
        break;
      }
      positional.push(word);
    } else if (word.startsWith("--")) at += long(flags, word, words[at + 1]);
    else at += shorts(flags, word, words[at + 1]);
  }
  return flags.parsed(positional);
}

/** Returns how many further words it took. */
function long(flags: Flags, word: string, next: string | undefined): number {
  const text = word.slice(2);
  if (text === "" || text.startsWith("-") || text.startsWith("=")) throw new FlagError(`bad flag syntax: ${word}`);
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  const spec = flags.byName(name);
  if (spec === undefined) {
    if (name === "help") throw new HelpRequested();
    throw new FlagError(`unknown flag: --${name}`);
  }
  if (equals >= 0) flags.set(spec, text.slice(equals + 1));
  else if (bareValue(spec) !== undefined) flags.set(spec, bareValue(spec) as string);
  else if (next === undefined) throw new FlagError(`flag needs an argument: --${name}`);
  else {
    flags.set(spec, next);
    return 1;
  }
  return 0;
}

function shorts(flags: Flags, word: string, next: string | undefined): number {
  for (let rest = word.slice(1); rest !== ""; rest = rest.slice(1)) {
    const letter = rest[0] as string;
    const spec = flags.byShort(letter);
    if (spec === undefined) {
      if (letter === "h") throw new HelpRequested();
      throw new FlagError(`unknown shorthand flag: '${letter}' in -${rest}`);
    }
    if (rest.length > 2 && rest[1] === "=") {
      flags.set(spec, rest.slice(2));
      return 0;
    }
    if (bareValue(spec) !== undefined) {
      flags.set(spec, bareValue(spec) as string);
      continue;
    }
    if (rest.length > 1) {
      flags.set(spec, rest.slice(1));
      return 0;
    }
    if (next === undefined) throw new FlagError(`flag needs an argument: '${letter}' in -${rest}`);
    flags.set(spec, next);
    return 1;
  }
  return 0;
}

function bareValue(spec: FlagSpec): string | undefined {
  return spec.bare ?? (spec.type === "bool" ? "true" : undefined);
}

type Value = string | number | boolean | readonly string[] | Readonly<Record<string, string>>;

/** Reads one value on top of what is there. Throws with the reason. */
const READERS: Readonly<Record<FlagSpec["type"], (text: string, before: Value | undefined) => Value>> = {
  bool: parseBool,
  string: (text) => text,
  int: parseInt64,
  uint: parseUint64,
  uint16: parseUint16,
  decimal: parseDecimal,
  bytes: (text) => (text === "-1" ? -1 : parseBytes(text)),
  duration: parseDuration,
  list: (text, before = []) => [...(before as readonly string[]), text],
  filter: (text, before = []) => [...(before as readonly string[]), text],
  strings: (text, before = []) => [...(before as readonly string[]), ...parseCsv(text)],
  map: (text, before = {}) => {
    const equals = text.indexOf("=");
    const [key, value] = equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
    return { ...(before as Readonly<Record<string, string>>), [key]: value };
  },
};

class Flags {
  readonly #specs: readonly FlagSpec[];
  readonly #values = new Map<string, Value>();

  constructor(specs: readonly FlagSpec[]) {
    this.#specs = specs;
  }

  byName(name: string): FlagSpec | undefined {
    return this.#specs.find((spec) => spec.name === name);
  }

  byShort(letter: string): FlagSpec | undefined {
    return this.#specs.find((spec) => spec.short === letter);
  }

  set(spec: FlagSpec, text: string): void {
    try {
      const complaint = spec.check?.(text);
      if (complaint !== undefined) throw new Error(complaint);
      this.#values.set(spec.name, READERS[spec.type](text, this.#values.get(spec.name)));
    } catch (error) {
      const shown = spec.short === undefined ? `--${spec.name}` : `-${spec.short}, --${spec.name}`;
      throw new FlagError(
        `invalid argument ${JSON.stringify(text)} for ${JSON.stringify(shown)} flag: ${(error as Error).message}`,
      );
    }
  }

  parsed(positional: readonly string[]): ParsedFlags {
    const read = (name: string): Value | undefined => {
      const spec = this.byName(name);
      if (spec === undefined) throw new Error(`no flag --${name} in this command's table`);
      const given = this.#values.get(name);
      if (given !== undefined || spec.default === undefined) return given;
      return READERS[spec.type](spec.default, undefined);
    };
    return {
      positional,
      changed: (name) => this.#values.has(name),
      bool: (name) => (read(name) ?? false) as boolean,
      text: (name) => (read(name) ?? "") as string,
      number: (name) => (read(name) ?? 0) as number,
      list: (name) => (read(name) ?? []) as readonly string[],
      map: (name) => (read(name) ?? {}) as Readonly<Record<string, string>>,
    };
  }
}
