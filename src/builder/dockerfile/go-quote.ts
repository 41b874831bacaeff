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

/** As Go's %q writes a string: image histories and messages have it so. */
export function goQuote(text: string): string {
  return `"${text.toWellFormed().replace(/["\\]|(?! )[\p{C}\p{Z}]/gu, escapeCharacter)}"`;
}

/** A list of them: `["a" "b"]`. */
export function goQuoteList(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(" ")}]`;
}

function escapeCharacter(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  const named = NAMED[char];
  if (named !== undefined) return named;
  const hex = code.toString(16);
  if (code < 0x80) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
