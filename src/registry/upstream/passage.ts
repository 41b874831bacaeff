/** A blob that goes from an upstream to one client without being kept: hashed on its way, its last piece held back until all are verified. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { algorithmOf } from "../names.ts";
import type { BlobTarget } from "./upstream.ts";

export interface PassageParts {
  readonly digest: Digest;
  readonly size: number;
  /** Has the target given the blob's bytes. */
  readonly fetch: (target: BlobTarget, signal: AbortSignal) => Promise<void>;
}

/** Bytes between the upstream and the client. */
const BUFFER = 1 << 20;

/** Read from the front on; the upstream is asked at the first read. */
export class Passage implements AsyncDisposable {
  readonly size: number;
  readonly #gone = new AbortController();
  readonly #pieces: AsyncGenerator<Buffer>;
  #piece: Buffer = Buffer.alloc(0);
  /** Of the piece's first byte. */
  #at = 0;

  constructor(parts: PassageParts) {
    this.size = parts.size;
    this.#pieces = verified(parts, this.#gone.signal);
  }

  /** As of a file; what lies before the position is let go. Rejects with "invalid" when the bytes have another digest. */
  async read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }> {
    while (position >= this.#at + this.#piece.length) {
      const next = await this.#pieces.next();
      if (next.done === true) return { bytesRead: 0 };
      this.#at += this.#piece.length;
      this.#piece = next.value;
    }
    const start = position - this.#at;
    return { bytesRead: this.#piece.copy(buffer, offset, start, start + length) };
  }

  /** Ends the download and waiting reads. Idempotent. */
  leave(): void {
    this.#gone.abort(new EngineError("cancelled", "the client went away"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leave();
    await this.#pieces.return(undefined).catch(() => {});
  }
}

async function* verified({ digest, fetch }: PassageParts, signal: AbortSignal): AsyncGenerator<Buffer> {
  const algorithm = algorithmOf(digest);
  const hash = createHash(algorithm);
  const body = new PassThrough({ highWaterMark: BUFFER });
  const write = async (chunk: Uint8Array) => {
    if (!body.write(chunk)) await once(body, "drain", { signal });
  };
  signal.addEventListener("abort", () => body.destroy(signal.reason as Error), { once: true });
  const fetching = fetch({ write }, signal).then(
    () => void body.end(),
    (error) => void body.destroy(error instanceof Error ? error : new EngineError("unavailable", String(error))),
  );
  let held: Buffer | undefined;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    hash.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  await fetching;
  const actual = `${algorithm}:${hash.digest("hex")}`;
  if (actual !== digest)
    throw new EngineError("invalid", `the upstream's blob has the digest ${actual}, not ${digest}`);
  if (held !== undefined) yield held;
}
