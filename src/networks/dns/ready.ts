/** Answers about containers as they go out, for questions that were asked before: found by the question's bytes, without reading them. */

/** Of one container; a question is seldom longer than 60 bytes. */
const LIMITS = { entries: 512, question: 300 } as const;

export class ReadyAnswers {
  readonly #answers = new Map<string, Buffer>();
  readonly #version: () => number;
  #of = -1;

  /** Everything is forgotten when the version changes. */
  constructor(version: () => number) {
    this.#version = version;
  }

  /** Writes the answer to the packet's first `length` bytes, with their id, and tells how long it is; 0: none is ready. */
  write(packet: Buffer, length: number, into: Buffer): number {
    if (length > LIMITS.question || this.#of !== this.#version()) return 0;
    const answer = this.#answers.get(keyOf(packet, length));
    if (answer === undefined) return 0;
    answer.copy(into);
    packet.copy(into, 0, 0, 2);
    return answer.length;
  }

  put(packet: Buffer, answer: Buffer): void {
    if (packet.length > LIMITS.question) return;
    if (this.#of !== this.#version() || this.#answers.size >= LIMITS.entries) this.#answers.clear();
    this.#of = this.#version();
    this.#answers.set(keyOf(packet, packet.length), answer);
  }
}

/** Everything but the id. */
function keyOf(packet: Buffer, length: number): string {
  return packet.toString("latin1", 2, length);
}
