import { EngineError } from "../errors.ts";
import { decodeDecimal, decodeNumber } from "./numbers.ts";
import type { TarSegment } from "./tar.ts";

/** Entries of an old GNU sparse header (4, at 386) or of its continuation block (21, at 0). */
export function decodeOldSparse(block: Buffer, start: number, count: number): TarSegment[] {
  const segments: TarSegment[] = [];
  for (let i = 0, at = start; i < count && block[at] !== 0; i++, at += 24) {
    segments.push({ offset: decodeNumber(block, at, 12), length: decodeNumber(block, at + 12, 12) });
  }
  return segments;
}

/** The map of formats 0.0 and 0.1: offset, length, offset, length … */
export function decodeSparseList(numbers: readonly string[]): TarSegment[] {
  if (numbers.length % 2 !== 0)
    throw new EngineError("invalid", "invalid tar header: a sparse map has an odd number of values");
  const segments: TarSegment[] = [];
  for (let i = 0; i < numbers.length; i += 2) {
    segments.push({
      offset: decodeDecimal(numbers[i] as string, "GNU.sparse"),
      length: decodeDecimal(numbers[i + 1] as string, "GNU.sparse"),
    });
  }
  return segments;
}

/** Collects the map of format 1.0, which stands before the data in whole blocks: a count, then two numbers for each segment, a line each. */
export class SparseMapCollector {
  readonly #blocks: Buffer[] = [];
  #lines = 0;
  #wanted: number | undefined;

  /** Bytes taken so far. */
  get size(): number {
    return this.#blocks.length * 512;
  }

  /** Takes (copies) a block; gives the map when that was its last. */
  add(block: Buffer): TarSegment[] | undefined {
    this.#blocks.push(Buffer.from(block));
    for (const byte of block) if (byte === 0x0a) this.#lines++;
    if (this.#wanted === undefined) {
      const count = block.toString("latin1", 0, Math.max(0, block.indexOf(0x0a)));
      this.#wanted = decodeDecimal(count, "a sparse map's length") * 2;
    }
    if (this.#lines <= this.#wanted) return undefined;
    const lines = Buffer.concat(this.#blocks).toString("latin1").split("\n");
    return decodeSparseList(lines.slice(1, 1 + this.#wanted));
  }
}

/** Throws "invalid" unless segments ascend, lie inside `size`, and add up to the `stored` bytes. */
export function checkSparse(segments: readonly TarSegment[], size: number, stored: number): void {
  let end = 0;
  let total = 0;
  for (const { offset, length } of segments) {
    if (offset < end || length < 0 || offset + length > size)
      throw new EngineError("invalid", "invalid tar header: wrong sparse map");
    end = offset + length;
    total += length;
  }
  if (total !== stored)
    throw new EngineError("invalid", "invalid tar header: a sparse map does not fit the stored bytes");
}
