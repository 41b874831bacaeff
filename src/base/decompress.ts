import { pipeline, Readable, type Transform } from "node:stream";
import {
  createDecompressor,
  detectCompression,
  type ForeignCompression,
  MAGIC_BYTES,
  recogniseCompression,
} from "./compression.ts";
import { EngineError } from "./errors.ts";

/**
 * The plain bytes of a stream that may be compressed by gzip or zstd, recognised by content. Leaving the iteration early
 * stops reading and leaves the source open: who gave it closes it (a request must still be answered). What does not decompress, and what ends early, is "invalid".
 * `foreign` reads what zlib does not; without it that is "invalid" too.
 */
export async function* decompress(
  source: Readable,
  foreign?: (kind: ForeignCompression, source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  const iterator = source.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  try {
    const head = await readHead(iterator);
    const kind = recogniseCompression(head);
    if ((kind === "xz" || kind === "bzip2") && foreign !== undefined) {
      yield* foreign(kind, chain(head, iterator));
      return;
    }
    const inflater = createDecompressor(detectCompression(head));
    if (inflater === undefined) {
      if (head.length > 0) yield head;
      yield* rest(iterator);
    } else yield* inflate(Readable.from(chain(head, iterator), { objectMode: false }), inflater);
  } finally {
    await iterator.return?.();
  }
}

async function readHead(iterator: AsyncIterator<Buffer>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < MAGIC_BYTES) {
    const { value, done } = await iterator.next();
    if (done === true) break;
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  return head;
}

async function* rest(iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  for (;;) {
    const { value, done } = await iterator.next();
    if (done === true) return;
    yield value;
  }
}

async function* chain(head: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  yield* rest(iterator);
}

async function* inflate(source: Readable, inflater: Transform): AsyncGenerator<Buffer> {
  // The pipeline's error reaches the iteration through the inflater.
  pipeline(source, inflater, () => {});
  try {
    for await (const chunk of inflater) yield chunk as Buffer;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (typeof code === "string" && /^(?:Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB)/.test(code))
      throw new EngineError("invalid", `invalid compressed data: ${(error as Error).message}`, { cause: error });
    throw error;
  }
}
