/** Command line → option values, with pflag's grammar and words: --flag value, --flag=value, -fvalue, -f value, -abc. */
import { EngineError, errorMessage } from "../base/errors.ts";
import { OPTIONS, type Option } from "./options.ts";
import { KINDS } from "./values.ts";

export type Values = ReadonlyMap<string, unknown>;

const BY_FLAG = new Map(
  OPTIONS.flatMap((option) => (option.flag === undefined ? [] : [[option.flag, option] as const])),
);
const BY_SHORT = new Map(
  OPTIONS.flatMap((option) => (option.short === undefined ? [] : [[option.short, option] as const])),
);

const invalid = (message: string): EngineError => new EngineError("invalid", message);

/** Values by key of the flags that were given. Throws "invalid" with pflag's words. */
export function parseFlags(argv: readonly string[], name: string): Values {
  const values = new Map<string, unknown>();
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      if (rest.length > 0) throw noArguments(name);
    } else if (word.startsWith("--")) parseLong(word, rest, values);
    else if (word.startsWith("-") && word !== "-") parseShorts(word, rest, values);
    else throw noArguments(name);
  }
  return values;
}

const noArguments = (name: string): EngineError => invalid(`"${name}" accepts no arguments.`);

function parseLong(word: string, rest: string[], values: Map<string, unknown>): void {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
  if (name === "" || name.startsWith("-")) throw invalid(`bad flag syntax: ${word}`);
  const option = BY_FLAG.get(name);
  if (option === undefined) throw invalid(`unknown flag: --${name}`);
  const attached = equals < 0 ? undefined : word.slice(equals + 1);
  set(values, option, attached ?? takeValue(option, rest, `--${name}`));
}

function parseShorts(word: string, rest: string[], values: Map<string, unknown>): void {
  for (let at = 1; at < word.length; at++) {
    const option = BY_SHORT.get(word[at] ?? "");
    if (option === undefined) throw invalid(`unknown shorthand flag: '${word[at]}' in ${word}`);
    const after = word.slice(at + 1);
    const attached = after.startsWith("=")
      ? after.slice(1)
      : option.kind === "bool" || after === ""
        ? undefined
        : after;
    set(values, option, attached ?? takeValue(option, rest, `'${word[at]}' in ${word}`));
    if (attached !== undefined) return;
  }
}

/** The next word, or what a flag without a value means. */
function takeValue(option: Option, rest: string[], shown: string): string {
  const value = option.kind === "bool" ? "true" : rest.shift();
  if (value === undefined) throw invalid(`flag needs an argument: ${shown}`);
  return value;
}

function set(values: Map<string, unknown>, option: Option, text: string): void {
  try {
    values.set(option.key, KINDS[option.kind].fromFlag(text, values.get(option.key)));
  } catch (error) {
    const shown = option.short === undefined ? `--${option.flag}` : `-${option.short}, --${option.flag}`;
    throw invalid(`invalid argument ${JSON.stringify(text)} for ${JSON.stringify(shown)} flag: ${errorMessage(error)}`);
  }
}
