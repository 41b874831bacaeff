/** Go's quoted strings, both ways. */

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/** The text of a Go string, raw string or character literal that the lexer accepted. */
export function unquote(literal: string): string {
  if (literal.startsWith("`")) return literal.slice(1, -1);
  return literal
    .slice(1, -1)
    .replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/gs, (all, code: string) => {
      if (code.length === 1) return ESCAPES[code] ?? all;
      if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8));
      return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
    });
}

const NAMED: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** As strconv.Quote, which %q calls: what cannot be printed is escaped. */
export function quote(text: string): string {
  return `"${text.toWellFormed().replace(/["\\]|(?! )[\p{C}\p{Z}]/gu, escapeCharacter)}"`;
}

/** A list of them, as %q prints it: `["a" "b"]`. */
export function quoteList(texts: readonly string[]): string {
  return `[${texts.map(quote).join(" ")}]`;
}

function escapeCharacter(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  const named = NAMED[char];
  if (named !== undefined) return named;
  const hex = code.toString(16);
  if (code < 0x80) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
