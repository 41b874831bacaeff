/** Raw bytes of a log file in large chunks, the next one being read while the last one is used. */
import { read } from "node:fs";
import { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { promisify } from "node:util";
import { constants, createGunzip } from "node:zlib";
import type { LogFile } from "./files.ts";

const readAsync = promisify(read);

/** Bytes in a buffer; the RESERVE bytes before them are free for the start of a line that another chunk left over. */
export interface Chunk {
  readonly buffer: Buffer;
  readonly from: number;
  readonly to: number;
}

/** Longer lines than this are not ours: 16 KiB of text are at most 96 KiB and a frame. */
export const RESERVE = 128 * 1024;
const CHUNK = 1024 * 1024 - RESERVE;
const GZIP_BLOCK = 128 * 1024;

/** From `start` to `end`, or to the end of the file. A chunk is valid until the next one is asked for. */
export async function* plainChunks(fd: number, start: number, end: number): AsyncGenerator<Chunk, void> {
  let [buffer, other] = [Buffer.allocUnsafeSlow(0), Buffer.allocUnsafeSlow(0)];
  let position = start;
  const next = () => {
    const length = Math.min(CHUNK, end - position);
    if (buffer.length < RESERVE + length) buffer = Buffer.allocUnsafeSlow(RESERVE + length);
    return length <= 0 ? { bytesRead: 0 } : readAsync(fd, buffer, RESERVE, length, position);
  };
  let pending = next();
  try {
    for (;;) {
      const { bytesRead } = await pending;
      if (bytesRead === 0) return;
      const chunk = { buffer, from: RESERVE, to: RESERVE + bytesRead };
      position += bytesRead;
      [buffer, other] = [other, buffer];
      pending = next();
      yield chunk;
    }
  } finally {
    await Promise.resolve(pending).catch(() => {});
  }
}

/** The content of a gzip file. A truncated or damaged one ends early, without an error: its writer was interrupted. */
export async function* gunzipChunks({ fd, size }: LogFile): AsyncGenerator<Chunk, void> {
  const source = Readable.from(bytesOf(fd, size), { objectMode: false });
  const gunzip = createGunzip({ chunkSize: 256 * 1024, finishFlush: constants.Z_SYNC_FLUSH });
  source.on("error", (error) => gunzip.destroy(error));
  try {
    for await (const bytes of source.pipe(gunzip) as AsyncIterable<Buffer>) {
      const buffer = Buffer.allocUnsafe(RESERVE + bytes.length);
      bytes.copy(buffer, RESERVE);
      yield { buffer, from: RESERVE, to: RESERVE + bytes.length };
    }
  } catch {
    return;
  } finally {
    source.destroy();
    await finished(source, { error: false }).catch(() => {});
  }
}

async function* bytesOf(fd: number, size: number): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < size; ) {
    const buffer = Buffer.allocUnsafe(GZIP_BLOCK);
    const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
