/** Go's template syntax to tokens. Positions are offsets into the source, for errors. */

export type TokenKind =
  | "text"
  | "open"
  | "close"
  | "field"
  | "variable"
  | "identifier"
  | "keyword"
  | "dot"
  | "string"
  | "number"
  | "char"
  | "bool"
  | "nil"
  | "pipe"
  | "("
  | ")"
  | ","
  | ":="
  | "="
  | "space"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly at: number;
}

export class TemplateError extends Error {}

/** 1-based line of an offset. */
export function lineOf(source: string, at: number): number {
  let line = 1;
  for (let i = 0; i < at && i < source.length; i++) if (source[i] === "\n") line++;
  return line;
}

const KEYWORDS = new Set(["if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"]);
const SPACE = /\s/;

export function lex(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  while (at <= source.length) {
    const open = source.indexOf("{{", at);
    const end = open < 0 ? source.length : open;
    let text = source.slice(at, end);
    if (trimNext) text = text.trimStart();
    const trimsBefore = open >= 0 && source[open + 2] === "-" && SPACE.test(source[open + 3] ?? "");
    if (trimsBefore) text = text.trimEnd();
    if (text !== "") tokens.push({ kind: "text", text, at });
    if (open < 0) break;
    const action = lexAction(source, open, trimsBefore ? open + 3 : open + 2, tokens);
    at = action.at;
    trimNext = action.trims;
  }
  tokens.push({ kind: "end", text: "EOF", at: source.length });
  return tokens;
}

function fail(source: string, at: number, why: string): TemplateError {
  return new TemplateError(`template: :${lineOf(source, at)}: ${why}`);
}

interface ActionEnd {
  readonly at: number;
  readonly trims: boolean;
}

function lexAction(source: string, open: number, start: number, tokens: Token[]): ActionEnd {
  const comment = /^\s*\/\*/.exec(source.slice(start));
  if (comment !== null) return skipComment(source, open, start + comment[0].length);
  tokens.push({ kind: "open", text: "{{", at: open });
  let at = start;
  let depth = 0;
  for (;;) {
    const closing = /^(\s+-)?\}\}/.exec(source.slice(at, at + 64)) ?? /^(\s+-)?\}\}/.exec(source.slice(at));
    if (closing !== null) {
      if (depth > 0) throw fail(source, at, "unclosed left paren");
      tokens.push({ kind: "close", text: "}}", at });
      return { at: at + closing[0].length, trims: closing[1] !== undefined };
    }
    if (at >= source.length) throw fail(source, open, "unclosed action");
    const token = lexToken(source, at);
    if (token.kind === "(") depth++;
    if (token.kind === ")" && --depth < 0) throw fail(source, at, "unexpected right paren");
    tokens.push(token);
    at += token.text.length;
  }
}

function skipComment(source: string, open: number, from: number): ActionEnd {
  const end = source.indexOf("*/", from);
  if (end < 0) throw fail(source, open, "unclosed comment");
  const closing = /^(\s+-)?\}\}/.exec(source.slice(end + 2));
  if (closing === null) throw fail(source, open, "comment ends before closing delimiter");
  return { at: end + 2 + closing[0].length, trims: closing[1] !== undefined };
}

const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ["space", /\s+/y],
  ["string", /"(?:[^"\\\n]|\\.)*"|`[^`]*`/y],
  ["char", /'(?:[^'\\\n]|\\.)+'/y],
  ["number", /[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)/y],
  ["field", /\.[\p{L}_][\p{L}\p{Nd}_]*/uy],
  ["dot", /\./y],
  ["variable", /\$(?:[\p{L}_][\p{L}\p{Nd}_]*)?/uy],
  ["identifier", /[\p{L}_][\p{L}\p{Nd}_]*/uy],
  [":=", /:=/y],
  ["=", /=/y],
  ["pipe", /\|/y],
  ["(", /\(/y],
  [")", /\)/y],
  [",", /,/y],
];

function lexToken(source: string, at: number): Token {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text === undefined) continue;
    if (kind === "identifier") return { kind: identifierKind(text), text, at };
    return { kind, text, at };
  }
  const char = String.fromCodePoint(source.codePointAt(at) ?? 0);
  if (char === '"') throw fail(source, at, "unterminated quoted string");
  if (char === "`") throw fail(source, at, "unterminated raw quoted string");
  if (char === "'") throw fail(source, at, "unterminated character constant");
  if (char === ":") throw fail(source, at, "expected :=");
  const code = `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
  throw fail(
    source,
    at,
    `unexpected unrecognized character in action: ${code} '${char}'`.replace("unexpected unrecognized", "unrecognized"),
  );
}

function identifierKind(text: string): TokenKind {
  if (KEYWORDS.has(text)) return "keyword";
  if (text === "true" || text === "false") return "bool";
  return text === "nil" ? "nil" : "identifier";
}
