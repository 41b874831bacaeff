/** The text of a Dockerfile as physical lines: numbers, line ends, bounds. */

export interface PhysicalLine {
  /** From 1. */
  readonly number: number;
  /** Without its line end ("\n", "\r\n"). */
  readonly text: string;
  /** With it. */
  readonly raw: string;
}

/** Bytes of a line that BuildKit still reads. */
export const LINE_LIMIT = 65_535;
/** UTF-16 units of a file. This and the next two keep reading below half a second; what people write is far below them. */
export const TEXT_LIMIT = 1024 * 1024;
export const INSTRUCTION_LIMIT = 10_000;
/** Arguments and flags of an instruction. */
export const WORD_LIMIT = 10_000;

/** Lazily, in order. The last line may have no line end; an empty one after the last line end is left out. */
export function* physicalLines(text: string): Generator<PhysicalLine> {
  let number = 0;
  for (let start = 0; start < text.length; ) {
    const feed = text.indexOf("\n", start);
    const end = feed < 0 ? text.length : feed + 1;
    const raw = text.slice(start, end);
    number++;
    yield { number, raw, text: trimLineEnd(raw) };
    start = end;
  }
}

function trimLineEnd(raw: string): string {
  let end = raw.length;
  while (end > 0 && (raw[end - 1] === "\n" || raw[end - 1] === "\r")) end--;
  return end === raw.length ? raw : raw.slice(0, end);
}

/** What Go's unicode.IsSpace calls space, below U+0100. */
export function isSpace(char: string | undefined): boolean {
  return char !== undefined && " \t\n\v\f\r\u0085\u00a0".includes(char);
}

/** The index of the first character that is no space, or the length. */
export function skipSpaces(text: string, from = 0): number {
  let at = from;
  while (at < text.length && isSpace(text[at])) at++;
  return at;
}

/** Without spaces around, by `isSpace`. */
export function trimSpaces(text: string): string {
  const start = skipSpaces(text);
  let end = text.length;
  while (end > start && isSpace(text[end - 1])) end--;
  return text.slice(start, end);
}

/** Whether it has more than `limit` bytes of UTF-8. */
export function longerThan(text: string, limit: number): boolean {
  return text.length > limit || (text.length * 3 > limit && Buffer.byteLength(text) > limit);
}
