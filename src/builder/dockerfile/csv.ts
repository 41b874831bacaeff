/** One line of comma-separated values as Go's encoding/csv reads it: the options of `--mount`. */

/** Throws SyntaxError with the column from 1. */
export function parseCsvLine(text: string): string[] {
  const fields: string[] = [];
  let at = 0;
  do {
    const { value, end } = text[at] === '"' ? quotedField(text, at) : plainField(text, at);
    fields.push(value);
    at = end + 1;
  } while (at <= text.length);
  return fields;
}

function plainField(text: string, start: number): { value: string; end: number } {
  const comma = text.indexOf(",", start);
  const end = comma < 0 ? text.length : comma;
  const value = text.slice(start, end);
  const quote = value.indexOf('"');
  if (quote >= 0) throw problem(start + quote, 'bare " in non-quoted field');
  return { value, end };
}

/** Two quotes are one. */
function quotedField(text: string, start: number): { value: string; end: number } {
  const parts: string[] = [];
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at);
    if (quote < 0) throw problem(text.length, 'extraneous or missing " in quoted-field');
    parts.push(text.slice(at, quote));
    const next = text[quote + 1];
    if (next === undefined || next === ",") return { value: parts.join(""), end: quote + 1 };
    if (next !== '"') throw problem(quote, 'extraneous or missing " in quoted-field');
    parts.push('"');
    at = quote + 2;
  }
}

function problem(offset: number, what: string): SyntaxError {
  return new SyntaxError(`parse error on line 1, column ${offset + 1}: ${what}`);
}
