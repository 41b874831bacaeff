import { randomBytes } from "node:crypto";
import type { LogEntry } from "./entries.ts";

/** Which part of a line that was too long for one entry. */
export interface Piece {
  /** The same for all pieces of a line. */
  readonly id: string;
  /** From 1. */
  readonly ordinal: number;
  readonly last: boolean;
}

export interface Line extends LogEntry {
  readonly part: Piece | undefined;
}

interface Unfinished {
  readonly id: string;
  readonly count: number;
}

/** Tells which entries are pieces of one line. */
export class LineJoiner {
  readonly #unfinished = new Map<boolean, Unfinished>();

  join(entries: readonly LogEntry[]): Line[] {
    return entries.map((entry) => ({ ...entry, part: this.#partOf(entry) }));
  }

  #partOf({ stderr, piece }: LogEntry): Piece | undefined {
    const before = this.#unfinished.get(stderr);
    if (before === undefined && !piece) return undefined;
    const { id, count } = before ?? { id: randomBytes(32).toString("hex"), count: 0 };
    if (piece) this.#unfinished.set(stderr, { id, count: count + 1 });
    else this.#unfinished.delete(stderr);
    return { id, ordinal: count + 1, last: !piece };
  }
}
