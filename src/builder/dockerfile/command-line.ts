/** The beginning of an instruction: its keyword, its flags, and the rest. */
import { isSpace, skipSpaces, trimSpaces } from "./source.ts";
import type { Token } from "./words.ts";

export interface SplitCommand {
  readonly keyword: Token;
  /** `--name=value`, unquoted. */
  readonly flags: readonly Token[];
  /** No spaces around it. */
  readonly rest: Token;
}

export function splitCommand(text: string): SplitCommand {
  const start = skipSpaces(text);
  let end = start;
  while (end < text.length && !isSpace(text[end])) end++;
  const { flags, end: afterFlags } = readFlags(text, end);
  const offset = skipSpaces(text, afterFlags);
  return {
    keyword: { text: text.slice(start, end), offset: start },
    flags,
    rest: { text: trimSpaces(text.slice(offset)), offset },
  };
}

/** Words that begin with "--", up to the first that does not; a lone "--" ends them. */
function readFlags(text: string, from: number): { flags: Token[]; end: number } {
  const flags: Token[] = [];
  let end = from;
  for (;;) {
    const start = skipSpaces(text, end);
    if (!text.startsWith("--", start)) return { flags, end: start };
    const flag = readFlag(text, start);
    if (flag.text === "--") return { flags, end: flag.end };
    flags.push({ text: flag.text, offset: start });
    end = flag.end;
  }
}

/** Quotes join and go away; a backslash takes the next character as it is. */
function readFlag(text: string, start: number): { text: string; end: number } {
  const parts: string[] = [];
  let quote = "";
  let at = start;
  for (; at < text.length; at++) {
    const char = text[at] as string;
    if (quote === "" && isSpace(char)) break;
    if (char === "\\") {
      at++;
      parts.push(text[at] ?? "");
    } else if (quote === "" && (char === "'" || char === '"')) quote = char;
    else if (char === quote) quote = "";
    else parts.push(char);
  }
  return { text: parts.join(""), end: Math.min(at, text.length) };
}
