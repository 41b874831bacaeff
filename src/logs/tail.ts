/** Where the last lines of a log begin, found from its end. */
import { readSync } from "node:fs";
import { gunzipChunks } from "./chunks.ts";
import type { LogFile } from "./files.ts";

const BLOCK = 64 * 1024;
const FEED = 10;

/** Where reading starts: the oldest file to read, and how much of it to leave out. */
export interface TailStart {
  /** Index in the files. */
  readonly file: number;
  /** Bytes to leave out. */
  readonly offset: number;
  /** Lines to leave out, of a compressed file. */
  readonly lines: number;
}

/** `files` oldest first; `ends`: up to where each counts. An unfinished last line does not count. */
export async function findTail(files: readonly LogFile[], ends: readonly number[], wanted: number): Promise<TailStart> {
  let missing = wanted;
  for (let file = files.length - 1; file >= 0; file--) {
    const log = files[file];
    if (log === undefined) break;
    if (log.compressed) {
      const lines = await countLines(log);
      if (lines >= missing) return { file, offset: 0, lines: lines - missing };
      missing -= lines;
    } else {
      const found = searchBack(log.fd, ends[file] ?? log.size, missing);
      if (found.missing === 0) return { file, offset: found.offset, lines: 0 };
      missing = found.missing;
    }
  }
  return { file: 0, offset: 0, lines: 0 };
}

/** The offset at which the last `wanted` whole lines before `end` begin, and how many of them the file lacks. */
function searchBack(fd: number, end: number, wanted: number): { offset: number; missing: number } {
  const block = Buffer.allocUnsafe(BLOCK);
  // The feed that ends the last whole line is the first one met; the one before the wanted lines is number wanted + 1.
  let left = wanted + 1;
  let blockEnd = end;
  while (blockEnd > 0) {
    const length = Math.min(BLOCK, blockEnd);
    const bytes = block.subarray(0, readSync(fd, block, 0, length, blockEnd - length));
    for (let at = bytes.lastIndexOf(FEED); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(FEED, at - 1))
      if (--left === 0) return { offset: blockEnd - length + at + 1, missing: 0 };
    blockEnd -= length;
  }
  // The file's first line has no feed before it.
  return { offset: 0, missing: Math.max(0, left - 1) };
}

async function countLines(file: LogFile): Promise<number> {
  let count = 0;
  for await (const { buffer, from, to } of gunzipChunks(file)) {
    const bytes = buffer.subarray(from, to);
    for (let at = bytes.indexOf(FEED); at >= 0; at = bytes.indexOf(FEED, at + 1)) count++;
  }
  return count;
}
