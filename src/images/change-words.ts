/** Words, quotes and variables of Dockerfile instructions. A backslash takes the next character literally. */
import { EngineError } from "../base/errors.ts";

/** Cut at white space outside quotes; quotes and backslashes stay, for `expand`. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (quote === "" && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word = (word ?? "") + char;
    if (char === "\\" && quote !== "'") word += text[++at] ?? "";
    else if (quote === "" && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = "";
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** `a=b c=d`; or, when the first word has no "=", one name and the rest of the line. Not expanded. */
export function splitPairs(instruction: string, text: string): [string, string][] {
  const words = splitWords(text);
  if (!words[0]?.includes("=")) return [oldPair(instruction, text)];
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 0)
      throw new EngineError(
        "invalid",
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

function oldPair(instruction: string, text: string): [string, string] {
  const [, name = "", value = ""] = /^(\S+)\s+(.*)$/s.exec(text) ?? [];
  if (name === "") throw new EngineError("invalid", `${instruction} must have two arguments`);
  return [name, value];
}

const VARIABLE = /^\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/;

/** Takes quotes and backslashes away and puts values in for $NAME, ${NAME}, ${NAME:-default} and ${NAME:+instead}; not inside single quotes. */
export function expand(text: string, env: ReadonlyMap<string, string>): string {
  let result = "";
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (char === quote) quote = "";
    else if (quote === "'") result += char;
    else if (quote === "" && (char === '"' || char === "'")) quote = char;
    else if (char === "\\") result += escaped(text[++at], quote);
    else if (char === "$") {
      const match = VARIABLE.exec(text.slice(at));
      result += match === null ? char : variable(match, env);
      at += (match?.[0].length ?? 1) - 1;
    } else result += char;
  }
  return result;
}

/** In double quotes only these lose their backslash. */
function escaped(next: string | undefined, quote: string): string {
  if (next === undefined) return "\\";
  return quote === '"' && !/["$\\]/.test(next) ? `\\${next}` : next;
}

function variable(
  [, plain, braced = "", operator, word = ""]: RegExpExecArray,
  env: ReadonlyMap<string, string>,
): string {
  const value = env.get(plain ?? braced) ?? "";
  if (operator === "-") return value === "" ? expand(word, env) : value;
  if (operator === "+") return value === "" ? "" : expand(word, env);
  return value;
}
