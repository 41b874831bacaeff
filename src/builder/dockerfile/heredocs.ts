/** Here-documents: finding their marks on an instruction's line, reading their lines. */
import { expand } from "./expand.ts";
import type { Heredoc } from "./language.ts";
import type { LineReader } from "./logical-lines.ts";

const MARK = /^(\d{0,9})<<(-?)([^<]+)$/;
const NOTHING: ReadonlyMap<string, string> = new Map();

export interface HeredocMark {
  readonly name: string;
  readonly expand: boolean;
  readonly chomp: boolean;
  readonly descriptor: number;
}

/** `<<EOF`, `<<-EOF`, `<<"EOF"`, `3<<EOF`; undefined for every other word. */
export function parseMark(word: string): HeredocMark | undefined {
  const [, descriptor = "", dash, delimiter = ""] = MARK.exec(word) ?? [];
  if (delimiter === "") return undefined;
  const words = wordsOf(delimiter, false);
  const [name] = words;
  if (words.length !== 1 || name === undefined) return undefined;
  const quoted = countQuotes(wordsOf(delimiter, true)[0] ?? "") !== countQuotes(name);
  return { name, expand: !quoted, chomp: dash === "-", descriptor: Number(descriptor) };
}

/** The marks of a line in their order, each with where it stands in it. None on a line whose quotes do not match. */
export function findMarks(line: string): readonly (HeredocMark & { readonly offset: number })[] {
  if (!line.includes("<<")) return [];
  let from = 0;
  return wordsOf(line, true).flatMap((word) => {
    const mark = parseMark(word);
    if (mark === undefined) return [];
    const offset = Math.max(line.indexOf(word, from), from);
    from = offset + word.length;
    return [{ ...mark, offset }];
  });
}

/** The lines up to the delimiter; undefined when the file ends before it. */
export function readContent(reader: LineReader, { name, chomp }: HeredocMark): string | undefined {
  const lines: string[] = [];
  for (let line = reader.nextPhysical(); line !== undefined; line = reader.nextPhysical()) {
    if ((chomp ? line.text.replace(/^\t+/, "") : line.text) === name) return lines.join("");
    lines.push(line.raw);
  }
  return undefined;
}

/** Its text as the step gets it: without the leading tabs where `<<-` says so. Variables are still in it. */
export function contentOf({ content, chomp }: Heredoc): string {
  return chomp ? content.replace(/^\t+/gm, "") : content;
}

/** Cut into words as a shell does, with or without quotes; nothing for what has none that match. */
function wordsOf(text: string, raw: boolean): readonly string[] {
  try {
    return expand(text, { env: NOTHING, raw, keepUnset: true }).words;
  } catch {
    return [];
  }
}

function countQuotes(text: string): number {
  return text.match(/['"]/g)?.length ?? 0;
}
