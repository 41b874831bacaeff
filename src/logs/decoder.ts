/** Turns chunks of a log file into what a client gets, joining lines that two chunks share. */
import { DETAILS_GROWTH, decodeJsonLog, JSON_LOG_SLACK, type JsonLogFilter } from "../kernel/json-log.ts";
import { type Chunk, RESERVE } from "./chunks.ts";

export class LogDecoder {
  readonly #filter: JsonLogFilter;
  /** What the last output lay in, when it may be written again. */
  #reused: Buffer | undefined;
  /** The start of a line whose end has not come. */
  #rest: Buffer = Buffer.alloc(0);
  /** In a line that is longer than any of ours. */
  #skipping = false;
  /** A line past `until` came: nothing after it is wanted. */
  done = false;

  constructor({ reuse, ...filter }: JsonLogFilter & { readonly reuse?: boolean | undefined }) {
    this.#filter = filter;
    this.#reused = reuse ? Buffer.alloc(0) : undefined;
  }

  /** Bytes of a line that has not come to its end. */
  get unfinished(): number {
    return this.#rest.length;
  }

  /** What the lines that this chunk completes become; may be empty. The chunk's free room is written to. */
  push({ buffer, from, to }: Chunk): Buffer {
    let start = from;
    if (this.#skipping) {
      const feed = buffer.subarray(from, to).indexOf(10);
      if (feed < 0) return this.#rest;
      start = from + feed + 1;
      this.#skipping = false;
    }
    start -= this.#rest.copy(buffer, start - this.#rest.length);
    const output = this.#room((to - start) * (this.#filter.details ? DETAILS_GROWTH : 1) + JSON_LOG_SLACK);
    const { consumed, produced, done } = decodeJsonLog(buffer, start, to, output, this.#filter);
    this.done = done;
    this.#keep(buffer.subarray(start + consumed, to));
    return output.subarray(0, produced);
  }

  /** A new file begins: what the last one left unfinished was torn. */
  nextFile(): void {
    this.#rest = Buffer.alloc(0);
    this.#skipping = false;
  }

  #room(size: number): Buffer {
    if (this.#reused !== undefined && this.#reused.length >= size) return this.#reused;
    if (this.#reused === undefined) return Buffer.allocUnsafeSlow(size);
    // The next chunk may come with more of a line before it.
    this.#reused = Buffer.allocUnsafeSlow(size + RESERVE);
    return this.#reused;
  }

  #keep(rest: Buffer): void {
    this.#skipping = rest.length > RESERVE;
    this.#rest = this.#skipping || rest.length === 0 ? Buffer.alloc(0) : Buffer.from(rest);
  }
}
