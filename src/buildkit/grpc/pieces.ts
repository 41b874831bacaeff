/** Bytes from which a piece is kept as it came. A shorter one would take more than its bytes. */
const WHOLE = 4 << 10;
/** Bytes that short pieces are put together in. */
const BLOCK = 16 << 10;

/** Bytes that wait, in their order; short pieces are put together, so that what is held takes about its own size. */
export class Pieces {
  #pieces: Uint8Array[] = [];
  /** What is before `#start` was taken, what is from `#end` on is free. */
  #block = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  /** Bytes that are to come still. */
  #left: number;

  constructor(length = Number.POSITIVE_INFINITY) {
    this.#left = length;
  }

  add(piece: Uint8Array): void {
    const { length } = piece;
    const isRest = length === this.#left;
    this.#left -= length;
    if (length >= WHOLE || (isRest && this.#end === this.#start)) {
      this.#cut();
      this.#pieces.push(piece);
      return;
    }
    if (length > this.#block.length - this.#end) {
      this.#cut();
      this.#block = Buffer.allocUnsafeSlow(Math.min(BLOCK, length + this.#left));
      this.#start = this.#end = 0;
    }
    this.#block.set(piece, this.#end);
    this.#end += length;
  }

  /** All that waited; nothing waits then. */
  take(): Uint8Array[] {
    this.#cut();
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces;
  }

  /** What was put together so far becomes a piece; the block goes on behind it. */
  #cut(): void {
    if (this.#end > this.#start) this.#pieces.push(this.#block.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }
}
