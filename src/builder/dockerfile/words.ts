/** Cutting the arguments of an instruction into words. Quotes, escapes and variables stay in them; expand.ts deals with those. */
import { isSpace, skipSpaces } from "./source.ts";

/** A piece of a logical line, and where in it. */
export interface Token {
  readonly text: string;
  readonly offset: number;
}

/** At white space, whatever it stands in: FROM, EXPOSE, the plain forms of COPY, ADD, VOLUME. */
export function splitAtSpaces(text: string, offset: number): Token[] {
  return [...text.matchAll(/[^\t\v\f\r ]+/g)].map((match) => ({ text: match[0], offset: offset + match.index }));
}

/** At white space outside quotes, where the escape character does not stand before it: ENV, LABEL, ARG. */
export function splitWords(text: string, offset: number, escapeChar: string): Token[] {
  const words: Token[] = [];
  for (let at = skipSpaces(text); at < text.length; at = skipSpaces(text, at)) {
    const word = readWord(text, at, escapeChar);
    if (word.text !== "") words.push({ text: word.text, offset: offset + at });
    at = word.end;
  }
  return words;
}

function readWord(text: string, start: number, escapeChar: string): { text: string; end: number } {
  let quote = "";
  let at = start;
  for (; at < text.length; at++) {
    const char = text[at];
    if (quote === "" && isSpace(char)) break;
    if (char === escapeChar && quote !== "'") {
      if (at + 1 === text.length) return { text: text.slice(start, at), end: text.length };
      at++;
    } else if (quote === "" && (char === "'" || char === '"')) quote = char;
    else if (char === quote) quote = "";
  }
  return { text: text.slice(start, at), end: at };
}

/** `["a", "b"]`. "plain" is text that is no JSON array and means what it says; "mixed" an array with more than strings in it. */
export type JsonList =
  | { readonly kind: "list"; readonly items: readonly string[] }
  | { readonly kind: "plain" }
  | { readonly kind: "mixed" };

export function parseJsonList(text: string): JsonList {
  if (text[skipSpaces(text)] !== "[") return { kind: "plain" };
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return { kind: "plain" };
    if (!value.every((item) => typeof item === "string")) return { kind: "mixed" };
    return { kind: "list", items: value.map((item) => item.toWellFormed()) };
  } catch {
    return { kind: "plain" };
  }
}
