import { Readable } from "node:stream";
import { EngineError } from "../errors.ts";
import { encodeTarHeader, TAR_END, tarPadding } from "./encode.ts";
import type { TarInput } from "./tar.ts";

export type TarBody = Uint8Array | string | AsyncIterable<Uint8Array>;

/**
 * Writes an archive. `add` and `finish` resolve when the reader of `stream` has room again, one call at a time, in the order of
 * the calls. Destroying `stream` makes the waiting call reject; `destroy` makes the reader see the error.
 */
export class TarWriter {
  readonly stream: Readable;
  #resume: (() => void) | undefined;

  constructor({ highWaterMark = 1 << 20 }: { readonly highWaterMark?: number } = {}) {
    this.stream = new Readable({
      highWaterMark,
      read: () => this.#wake(),
      destroy: (error, done) => {
        this.#wake();
        done(error);
      },
    });
  }

  /** Adds an entry. A body that is a stream must give exactly `header.size` bytes: "invalid" otherwise, and the stream is destroyed. */
  async add(header: TarInput, body: TarBody = ""): Promise<void> {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    if (bytes instanceof Uint8Array) {
      const size = bytes.length;
      const parts = [encodeTarHeader({ ...header, size }), bytes, tarPadding(size)];
      return this.#push(size < 65536 ? [Buffer.concat(parts)] : parts);
    }
    try {
      await this.#addStream(header, bytes);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  /** Writes the end mark and ends the stream. */
  async finish(): Promise<void> {
    await this.#push([TAR_END]);
    this.stream.push(null);
  }

  destroy(error?: Error): void {
    this.stream.destroy(error);
  }

  async #addStream(header: TarInput, body: AsyncIterable<Uint8Array>): Promise<void> {
    const size = header.size ?? 0;
    await this.#push([encodeTarHeader(header)]);
    let written = 0;
    for await (const chunk of body) {
      written += chunk.length;
      if (written > size) break;
      await this.#push([chunk]);
    }
    if (written !== size) {
      const what = written > size ? "more than" : `only ${written} of`;
      throw new EngineError("invalid", `the body of ${JSON.stringify(String(header.path))} gave ${what} ${size} bytes`);
    }
    await this.#push([tarPadding(size)]);
  }

  async #push(parts: readonly Uint8Array[]): Promise<void> {
    let room = true;
    for (const part of parts) {
      if (this.stream.destroyed) throw this.#gone();
      if (part.length > 0) room = this.stream.push(part);
    }
    if (room) return;
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
    });
    if (this.stream.destroyed) throw this.#gone();
  }

  #gone(): Error {
    return this.stream.errored ?? new EngineError("cancelled", "the reader of the tar stream went away");
  }

  #wake(): void {
    this.#resume?.();
    this.#resume = undefined;
  }
}
