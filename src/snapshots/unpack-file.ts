import { createHash, type Hash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createDecompressor, DECOMPRESSOR_BACKLOG, detectCompression, MAGIC_BYTES } from "../base/compression.ts";
import type { Digest } from "../base/digest.ts";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import { type Growth, grownTo } from "../base/growth.ts";
import { releaseMemory } from "../base/release.ts";
import { TarParser } from "../base/tar/parser.ts";
import { type UnpackedTree, Unpacker, type WhiteoutMode } from "./unpacker.ts";

/** One layer's work; plain values, so that it can be sent to a worker. */
export interface UnpackTask {
  readonly path: string;
  /** The file is open already, and the caller closes it. */
  readonly fd?: number | undefined;
  /** The file is still being written: so much of it is there. */
  readonly growth?: Growth | undefined;
  readonly offset: number;
  /** Undefined: up to the end of the file. */
  readonly length: number | undefined;
  /** An empty folder, or in mode "apply" one that holds the layers below. */
  readonly root: string;
  readonly mode: WhiteoutMode;
  readonly umask: number;
  readonly diffId: Digest;
  readonly digest: Digest | undefined;
  /** Set to 1 from any thread: stop soon with "cancelled". */
  readonly stop: Int32Array;
}

/** Small enough to stay in the processor's cache from the read to the last write. Bytes. */
const CHUNK = 256 << 10;
/** Pieces lie one after another in it. More than a decompressor keeps waiting, which is its high-water mark and the piece that went beyond it. */
const RING = DECOMPRESSOR_BACKLOG + 3 * CHUNK;
/** Source bytes between two reports. */
const REPORT = 1 << 20;

/**
 * Unpacks a layer and verifies what it was made from. `onProgress` gets the source bytes read so far. On failure what was
 * unpacked stays for the caller to remove.
 */
export async function unpackFile(task: UnpackTask, onProgress: (bytes: number) => void): Promise<UnpackedTree> {
  const unpacker = new Unpacker(task);
  const parser = new TarParser(unpacker);
  const diffHash = hashFor(task.diffId);
  const fd = task.fd ?? openSync(task.path, "r");
  try {
    await arrived(task, Math.min(MAGIC_BYTES, task.length ?? 0));
    const decompressor = createDecompressor(detectCompression(startOf(fd, task)));
    // A plain layer is its own source: its bytes are counted once.
    const twice = task.digest !== undefined && (decompressor !== undefined || task.digest !== task.diffId);
    const sourceHash = twice ? hashFor(task.digest as Digest) : undefined;
    const source = readPieces(fd, task, { hash: sourceHash, apart: decompressor !== undefined, onProgress });
    const consume = (chunk: Buffer) => {
      checkStop(task);
      diffHash.update(chunk);
      parser.write(chunk);
    };
    if (decompressor === undefined) for await (const piece of source) consume(piece);
    else
      await pipeline(source, decompressor, async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          consume(chunk);
          releaseMemory(chunk);
        }
      });
    // A decompressor may stop before the source does; the digest is over all of it.
    for await (const _ of source);
    parser.end();
    if (sourceHash !== undefined) verify("layer", sourceHash, task.digest as Digest);
    verify("unpacked layer", diffHash, task.diffId);
    return unpacker.finish();
  } catch (error) {
    unpacker.abort();
    throw explainSource(error);
  } finally {
    if (task.fd === undefined) closeSync(fd);
  }
}

/** Resolves when that much of the source can be read. */
async function arrived({ growth, offset, stop }: UnpackTask, bytes: number): Promise<number> {
  if (growth === undefined) return Number.POSITIVE_INFINITY;
  return (await grownTo(growth, offset + bytes, () => checkStop({ stop }))) - offset;
}

interface Reading {
  readonly hash: Hash | undefined;
  /** Pieces wait for a decompressor. Otherwise each is used up before the next is asked for. */
  readonly apart: boolean;
  readonly onProgress: (bytes: number) => void;
}

async function* readPieces(fd: number, task: UnpackTask, reading: Reading): AsyncGenerator<Buffer> {
  const { offset, length, stop } = task;
  const total = length ?? fstatSync(fd).size - offset;
  const ring = Buffer.allocUnsafeSlow(Math.min(reading.apart ? RING : CHUNK, total));
  let [reported, at] = [0, 0];
  for (let read = 0; read < total; ) {
    if (!reading.apart || ring.length - at < Math.min(CHUNK, total - read)) at = 0;
    const there = await arrived(task, read + 1);
    const count = readSync(fd, ring, at, Math.min(CHUNK, total - read, there - read), offset + read);
    if (count === 0) throw new EngineError("invalid", `truncated layer: ${read} of ${total} bytes`);
    checkStop({ stop });
    const piece = ring.subarray(at, at + count);
    read += count;
    at += count;
    reading.hash?.update(piece);
    if (read - reported >= REPORT || read === total) {
      reported = read;
      reading.onProgress(read);
    }
    yield piece;
  }
}

function startOf(fd: number, { offset, length }: UnpackTask): Buffer {
  const start = Buffer.alloc(Math.min(MAGIC_BYTES, length ?? MAGIC_BYTES));
  return start.subarray(0, readSync(fd, start, 0, start.length, offset));
}

function checkStop({ stop }: { readonly stop: Int32Array }): void {
  if (Atomics.load(stop, 0) !== 0) throw new EngineError("cancelled", "unpacking was cancelled");
}

function hashFor(digest: Digest): Hash {
  return createHash(digest.slice(0, digest.indexOf(":")));
}

function verify(what: string, hash: Hash, expected: Digest): void {
  const actual = `${expected.slice(0, expected.indexOf(":"))}:${hash.digest("hex")}`;
  if (actual !== expected) throw new EngineError("invalid", `${what} has digest ${actual}, expected ${expected}`);
}

/** zlib's own errors say nothing about layers. */
function explainSource(error: unknown): unknown {
  if (error instanceof EngineError) return error;
  const code = errnoOf(error) ?? "";
  if (code === "Z_BUF_ERROR")
    return new EngineError("invalid", "truncated layer: the compressed data stops early", { cause: error });
  if (/^Z_|^ZSTD_/.test(code)) {
    return new EngineError("invalid", `damaged layer: ${errorMessage(error)}`, { cause: error });
  }
  return error;
}
