const HEADER = 8;

/** Takes apart the frames of an attach stream: stream 1 or 2, three zeros, a big-endian length, the payload. */
export class FrameReader {
  readonly #take: (stream: 1 | 2, data: Buffer) => void;
  #head: Buffer = Buffer.alloc(0);
  #stream: 1 | 2 = 1;
  #left = 0;

  constructor(take: (stream: 1 | 2, data: Buffer) => void) {
    this.#take = take;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left === 0) {
        const wanted = HEADER - this.#head.length;
        this.#head = Buffer.concat([this.#head, rest.subarray(0, wanted)]);
        rest = rest.subarray(wanted);
        if (this.#head.length < HEADER) return;
        this.#stream = this.#head[0] === 2 ? 2 : 1;
        this.#left = this.#head.readUInt32BE(4);
        this.#head = Buffer.alloc(0);
        continue;
      }
      const data = rest.subarray(0, this.#left);
      this.#take(this.#stream, data);
      this.#left -= data.length;
      rest = rest.subarray(data.length);
    }
  }
}
