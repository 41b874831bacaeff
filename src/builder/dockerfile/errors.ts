/** What is wrong with a Dockerfile, with its place, and the lines around it as BuildKit prints them. */
import { EngineError } from "../../base/errors.ts";
import type { Range } from "./language.ts";
import { physicalLines } from "./source.ts";

export interface ErrorPlace {
  /** As errors name it: "Dockerfile". */
  readonly file: string;
  /** The whole Dockerfile. */
  readonly text: string;
  readonly range: Range;
}

/** Of kind "invalid". `message` has no excerpt in it: print `excerpt` before it where there is room. */
export class DockerfileError extends EngineError {
  readonly file: string;
  readonly range: Range;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  readonly #text: string;

  constructor(message: string, { file, text, range }: ErrorPlace, hint?: string | undefined) {
    super("invalid", shorten(message, MOST_OF_A_MESSAGE), { hint });
    this.name = "DockerfileError";
    this.file = file;
    this.range = range;
    this.line = range.start.line;
    this.column = range.start.column;
    this.#text = text;
  }

  /** The offending lines with ">>>" before them, two lines of context around; empty for an empty file. */
  get excerpt(): string {
    if (this.#text === "") return "";
    return formatExcerpt({ file: this.file, text: this.#text, range: this.range });
  }
}

const RULE = "--------------------";
const CONTEXT = 2;
/** An instruction of a thousand lines is not printed whole, nor is a line of a megabyte. */
const MOST_LINES = 24;
const MOST_CHARACTERS = 240;
const MOST_OF_A_MESSAGE = 1000;

/** "Dockerfile:3", a rule, the lines, a rule; no line feed at the end. */
export function formatExcerpt({ file, text, range }: ErrorPlace): string {
  const { start, end } = range;
  const last = Math.min(end.line, start.line + MOST_LINES);
  const shown: string[] = [];
  for (const { number, text: line } of physicalLines(text)) {
    if (number > last + CONTEXT) break;
    if (number < start.line - CONTEXT) continue;
    const mark = number >= start.line && number <= end.line ? ">>>" : "   ";
    shown.push(`${String(number).padStart(4)} | ${mark} ${shorten(line, MOST_CHARACTERS)}`.trimEnd());
  }
  return [`${file}:${start.line}`, RULE, ...shown, RULE].join("\n");
}

function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}...`;
}
