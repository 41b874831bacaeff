import { Readable } from "node:stream";
import { EngineError } from "../errors.ts";
import { TarParser } from "./parser.ts";
import type { TarHeader, TarLimits } from "./tar.ts";

export interface TarEntry {
  readonly header: TarHeader;
  /** The file's bytes, holes as zeros. At most once, and before the next entry is asked for; what is not read is skipped. */
  body(): Readable;
  /** The file's bytes in memory; "too-large" past `limit`. */
  bytes(limit: number): Promise<Buffer>;
}

/**
 * An archive's entries in order. Reads no further ahead than one chunk of the source. Leaving the loop early destroys the source
 * (a Readable's iterator does so). Errors of the source come out as they are; wrong archives as "invalid".
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits = {},
): AsyncGenerator<TarEntry, void, undefined> {
  const events = new EventQueue(source, limits);
  try {
    for (;;) {
      const event = await events.next();
      if (event === undefined) return;
      if (event.kind !== "entry") continue;
      yield entryOf(event.header, events);
    }
  } finally {
    await events.close();
  }
}

type TarEvent =
  | { readonly kind: "entry"; readonly header: TarHeader }
  | { readonly kind: "data"; readonly chunk: Buffer; readonly position: number }
  | { readonly kind: "end" };

/** The push parser's calls as a queue that reads the source on demand. */
class EventQueue {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #parser: TarParser;
  #events: TarEvent[] = [];
  #taken = 0;
  #done = false;

  constructor(source: AsyncIterable<Uint8Array>, limits: TarLimits) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#parser = new TarParser(
      {
        entry: (header) => this.#events.push({ kind: "entry", header }),
        data: (chunk, position) => this.#events.push({ kind: "data", chunk, position }),
        end: () => this.#events.push({ kind: "end" }),
      },
      limits,
    );
  }

  async next(): Promise<TarEvent | undefined> {
    while (this.#taken === this.#events.length) {
      if (this.#done) return undefined;
      this.#events = [];
      this.#taken = 0;
      const { value, done } = await this.#iterator.next();
      if (done === true) {
        this.#done = true;
        this.#parser.end();
      } else
        this.#parser.write(
          Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
        );
    }
    return this.#events[this.#taken++];
  }

  /** The next event of the current body; undefined at its end, which stays. */
  async nextOfBody(): Promise<{ chunk: Buffer; position: number } | undefined> {
    const event = await this.next();
    if (event?.kind === "data") return event;
    if (event !== undefined) this.#taken--;
    return undefined;
  }

  async close(): Promise<void> {
    if (!this.#done) await this.#iterator.return?.();
    this.#done = true;
  }
}

function entryOf(header: TarHeader, events: EventQueue): TarEntry {
  let used = false;
  const chunks = () => {
    if (used) throw new EngineError("internal", `the body of ${JSON.stringify(header.path)} was read already`);
    used = true;
    return bodyOf(header, events);
  };
  return {
    header,
    body: () => Readable.from(chunks(), { objectMode: false }),
    bytes: async (limit) => {
      if (header.size > limit) {
        throw new EngineError(
          "too-large",
          `${JSON.stringify(header.path)} has ${header.size} bytes, at most ${limit} are accepted`,
        );
      }
      const parts: Buffer[] = [];
      for await (const chunk of chunks()) parts.push(chunk);
      return Buffer.concat(parts);
    },
  };
}

async function* bodyOf(header: TarHeader, events: EventQueue): AsyncGenerator<Buffer, void, undefined> {
  let at = 0;
  for (;;) {
    const event = await events.nextOfBody();
    const next = event?.position ?? header.size;
    for (; at < next; at += Math.min(ZEROS.length, next - at))
      yield ZEROS.subarray(0, Math.min(ZEROS.length, next - at));
    if (event === undefined) return;
    yield event.chunk;
    at += event.chunk.length;
  }
}

const ZEROS = Buffer.alloc(65536);
