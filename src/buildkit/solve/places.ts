/** Places in a Dockerfile as clients print them: with as much of its text as they show, for it goes with each finding anew. */
import type { Range } from "../../builder/dockerfile/language.ts";

export interface DockerfileSource {
  readonly name: string;
  readonly text: string;
}

/** Bytes of a text that goes whole, and of a cut one. */
const MAX_TEXT = 8 << 10;
/** Lines around a place: clients show two, or four. */
const AROUND = 5;

/** Undefined where even the lines around it are too long. */
export function placeIn({ name, text }: DockerfileSource, { start, end }: Range) {
  const last = Math.max(start.line, end.line);
  const data = Buffer.from(isShort(text) ? text : surroundings(text, start.line - AROUND, last + AROUND));
  if (data.length > MAX_TEXT) return undefined;
  return {
    info: { filename: name, data, language: "Dockerfile" },
    ranges: [{ start: { line: start.line }, end: { line: last } }],
  };
}

const isShort = (text: string): boolean => text.length <= MAX_TEXT && Buffer.byteLength(text) <= MAX_TEXT;

/** These lines, from 1, under their own numbers: those before them are empty, those after them are not there. */
function surroundings(text: string, first: number, last: number): string {
  const lines = text.split("\n", last);
  return lines.map((line, at) => (at + 1 < first ? "" : line)).join("\n");
}
