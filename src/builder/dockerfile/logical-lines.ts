/**
 * Physical lines joined to the lines that instructions are written on: comments and blank lines dropped, continuations joined, each character
 * still knowing its place. Rules: Dockerfile reference, "Format", "escape"; as BuildKit reads them.
 */
import { addDirective, parseDirective } from "./directives.ts";
import { DockerfileError } from "./errors.ts";
import type { Directives, Position, Range } from "./language.ts";
import {
  LINE_LIMIT,
  longerThan,
  type PhysicalLine,
  physicalLines,
  skipSpaces,
  TEXT_LIMIT,
  trimSpaces,
} from "./source.ts";

/** Where a part of a joined line comes from. */
interface Piece {
  /** Within the joined text. */
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

export interface LogicalLine {
  readonly text: string;
  readonly pieces: readonly Piece[];
  readonly end: Position;
  readonly comments: readonly string[];
  /** There are blank lines within. */
  readonly emptyContinuation: boolean;
}

/** The place of a character of the joined text; of its end for an offset past it. */
export function positionOf({ pieces }: LogicalLine, offset: number): Position {
  let low = 0;
  for (let high = pieces.length; high - low > 1; ) {
    const middle = (low + high) >> 1;
    if ((pieces[middle]?.offset ?? 0) <= offset) low = middle;
    else high = middle;
  }
  const piece = pieces[low] ?? { offset: 0, line: 1, column: 1 };
  return { line: piece.line, column: piece.column + offset - piece.offset };
}

/** The whole of it. */
export function rangeOf(line: LogicalLine): Range {
  return { start: positionOf(line, 0), end: line.end };
}

const BYTE_ORDER_MARK = "\ufeff";

/** Reads one logical line after the other; heredocs take physical lines in between. Throws DockerfileError. */
export class LineReader {
  readonly #file: string;
  readonly #text: string;
  readonly #lines: Iterator<PhysicalLine>;
  #directives: Partial<Directives> = {};
  #lookingForDirectives = true;
  #comments: string[] = [];
  #lastLine = 1;

  constructor(file: string, text: string) {
    this.#file = file;
    this.#text = text;
    if (text.length > TEXT_LIMIT)
      throw this.failure(`Dockerfile exceeds maximum allowed size of ${TEXT_LIMIT} characters`);
    this.#lines = physicalLines(text);
  }

  get directives(): Directives {
    return { ...this.#directives, escape: this.#directives.escape ?? "\\" };
  }

  /** The number of the physical line read last; 1 before any. */
  get lastLine(): number {
    return this.#lastLine;
  }

  /** The next line with an instruction on it; undefined at the end. */
  next(): LogicalLine | undefined {
    for (let line = this.nextPhysical(); line !== undefined; line = this.nextPhysical()) {
      const text = line.number === 1 && line.text.startsWith(BYTE_ORDER_MARK) ? line.text.slice(1) : line.text;
      const start = skipSpaces(text);
      if (this.#takeDirective(text.slice(start), line.number)) continue;
      if (text[start] === "#") this.#addComment(text.slice(start + 1));
      else if (start === text.length) this.#comments = [];
      else {
        const joined = this.#join(text.slice(start), { offset: 0, line: line.number, column: start + 1 });
        if (joined.text !== "") return joined;
      }
    }
    return undefined;
  }

  /** The next physical line as it is. */
  nextPhysical(): PhysicalLine | undefined {
    const { value, done } = this.#lines.next();
    if (done === true) return undefined;
    this.#lastLine = value.number;
    if (longerThan(value.raw, LINE_LIMIT))
      throw this.failure(`dockerfile line greater than max allowed size of ${LINE_LIMIT}`);
    return value;
  }

  /** About the line read last, or a given one. */
  failure(message: string, line = this.#lastLine): DockerfileError {
    const range = { start: { line, column: 1 }, end: { line, column: 1 } };
    const place = { file: this.#file, text: this.#text, range };
    return new DockerfileError(`dockerfile parse error on line ${line}: ${message}`, place);
  }

  #takeDirective(text: string, line: number): boolean {
    if (!this.#lookingForDirectives) return false;
    const directive = parseDirective(text);
    this.#lookingForDirectives = directive !== undefined;
    if (directive === undefined) return false;
    const added = addDirective(this.#directives, directive);
    if (typeof added === "string") throw this.failure(added, line);
    this.#directives = added;
    return true;
  }

  #addComment(text: string): void {
    const comment = trimSpaces(text);
    if (comment === "") this.#comments = [];
    else this.#comments.push(comment);
  }

  #join(first: string, at: Piece): LogicalLine {
    const pieces: Piece[] = [at];
    const parts: string[] = [];
    let length = 0;
    let emptyContinuation = false;
    let text = first;
    let end = { line: at.line, column: at.column + first.length };
    for (;;) {
      const cut = this.#continuation(text);
      const part = cut < 0 ? text : text.slice(0, cut);
      parts.push(part);
      length += part.length;
      if (cut < 0) break;
      const { line, sawEmpty } = this.#continued();
      emptyContinuation ||= sawEmpty;
      if (line === undefined) break;
      text = line.text;
      pieces.push({ offset: length, line: line.number, column: 1 });
      end = { line: line.number, column: text.length + 1 };
    }
    const comments = this.#comments;
    this.#comments = [];
    return { text: parts.join(""), pieces, end, comments, emptyContinuation };
  }

  /** The line that goes on, comments and blank lines passed over; undefined at the end of the file. */
  #continued(): { line: PhysicalLine | undefined; sawEmpty: boolean } {
    let sawEmpty = false;
    for (let line = this.nextPhysical(); line !== undefined; line = this.nextPhysical()) {
      const start = skipSpaces(line.text);
      if (line.text[start] === "#") continue;
      if (start < line.text.length) return { line, sawEmpty };
      sawEmpty = true;
    }
    return { line: undefined, sawEmpty };
  }

  /** Where the escape character at the end of the line stands, or -1. Two of them are a literal one. */
  #continuation(text: string): number {
    const mark = this.directives.escape;
    let end = text.length;
    while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\t")) end--;
    return end > 0 && text[end - 1] === mark && text[end - 2] !== mark ? end - 1 : -1;
  }
}
