/** Lines of a log, one by one, with the place after them: what is forwarded, and from where it goes on after a restart. */
import { createHash } from "node:crypto";
import { fstatSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { millisecondsOf } from "../../base/time.ts";
import { watchFolder } from "../changes.ts";
import { type Chunk, gunzipChunks, plainChunks } from "../chunks.ts";
import { LogDecoder } from "../decoder.ts";
import { closeLogFiles, type LogFile, openLogFiles } from "../files.ts";
import type { Writers } from "./writers.ts";

export interface LogEntry {
  readonly stderr: boolean;
  /** Nanoseconds since the epoch. */
  readonly time: bigint;
  /** Without the line feed. */
  readonly text: Buffer;
  /** A piece of a line that was too long for one entry, or the end of one. */
  readonly piece: boolean;
}

/** Where reading goes on. A file is known again by its first line, also when it was rotated or compressed meanwhile. */
export interface Cursor {
  readonly file: string;
  /** In the file's uncompressed content. */
  readonly offset: number;
}

export interface Batch {
  readonly entries: readonly LogEntry[];
  readonly next: Cursor;
}

export interface BatchOptions {
  readonly from: Cursor | undefined;
  /** Goes on until they are over and everything written was read. */
  readonly writers: Writers;
  readonly signal: AbortSignal;
  /** What was not read was rotated away. */
  readonly onGap: () => void;
}

/** Of this many bytes of the log at most, so that little is sent twice after a kill. */
const BATCH = 64 * 1024;

/** Entries from a place on, in their order, following the log through its rotations. Ends early, quietly, when the signal aborts. */
export async function* readBatches(path: string, options: BatchOptions): AsyncGenerator<Batch, void> {
  using changes = watchFolder(dirname(path));
  const { signal, writers } = options;
  signal.addEventListener("abort", changes.wake, { once: true });
  writers.onEnd(changes.wake);
  let place = await firstPlace(path, options);
  try {
    while (!signal.aborted) {
      const last = writers.over;
      if (place !== undefined) yield* readPlace(place, options);
      const next = await nextPlace(path, place, options);
      if (next !== undefined) {
        if (place !== undefined) {
          // What came between our last look and the rotation.
          yield* readPlace(place, options);
          closeLogFiles([place.file]);
        }
        place = next;
      } else if (last) return;
      else await changes.next();
    }
  } finally {
    signal.removeEventListener("abort", changes.wake);
    if (place !== undefined) closeLogFiles([place.file]);
  }
}

interface Place {
  readonly file: LogFile;
  readonly name: string;
  readonly decoder: LogDecoder;
  /** What was read of it. */
  offset: number;
}

const FILTER = { stdout: true, stderr: true, timestamps: true, framed: true };

function placeIn(file: LogFile, name: string, offset = 0): Place {
  return { file, name, offset, decoder: new LogDecoder(FILTER) };
}

/** Undefined while there is no line at all. */
async function firstPlace(path: string, { from, onGap }: BatchOptions): Promise<Place | undefined> {
  return chooseFile(path, (names) => {
    if (from === undefined) return [0, 0];
    const known = names.indexOf(from.file);
    if (known < 0 && names.length > 0) onGap();
    return known < 0 ? [0, 0] : [known, from.offset];
  });
}

/** The file after this one, when there is one; the oldest when this one is no longer there. */
async function nextPlace(path: string, place: Place | undefined, { onGap }: BatchOptions): Promise<Place | undefined> {
  const current = statSync(path, { throwIfNoEntry: false });
  if (current === undefined || current.ino === place?.file.inode) return undefined;
  return chooseFile(path, (names) => {
    const known = place === undefined ? -1 : names.indexOf(place.name);
    if (place !== undefined && known < 0 && names.length > 0) onGap();
    return [known + 1, 0];
  });
}

/** Opens the chosen one of the files that have a line, oldest first; closes the others. */
async function chooseFile(
  path: string,
  choose: (names: readonly string[]) => readonly [index: number, offset: number],
): Promise<Place | undefined> {
  const files = openLogFiles(path);
  const named: { file: LogFile; name: string }[] = [];
  let chosen: LogFile | undefined;
  try {
    for (const file of files) {
      const name = await nameOf(file);
      if (name !== undefined) named.push({ file, name });
    }
    const [index, offset] = choose(named.map(({ name }) => name));
    const found = named[index];
    chosen = found?.file;
    return found === undefined ? undefined : placeIn(found.file, found.name, offset);
  } finally {
    closeLogFiles(files.filter((file) => file !== chosen));
  }
}

/** From the first line, whose time has nanoseconds; undefined while it is not whole. */
async function nameOf(file: LogFile): Promise<string | undefined> {
  const hash = createHash("sha1");
  for await (const { buffer, from, to } of contentOf(file, 0)) {
    const feed = buffer.subarray(from, to).indexOf(10);
    hash.update(buffer.subarray(from, feed < 0 ? to : from + feed));
    if (feed >= 0) return hash.digest("hex");
  }
  return undefined;
}

function contentOf(file: LogFile, offset: number): AsyncGenerator<Chunk, void> {
  if (file.compressed) return skipped(gunzipChunks(file), offset);
  return plainChunks(file.fd, offset, Math.min(fstatSync(file.fd).size, offset + BATCH));
}

async function* skipped(chunks: AsyncGenerator<Chunk, void>, count: number): AsyncGenerator<Chunk, void> {
  let left = count;
  for await (const chunk of chunks) {
    const from = Math.min(chunk.to, chunk.from + left);
    left -= from - chunk.from;
    if (from < chunk.to) yield { ...chunk, from };
  }
}

/** What the file has now and was not read. */
async function* readPlace(place: Place, { signal }: BatchOptions): AsyncGenerator<Batch, void> {
  const { file, name, decoder } = place;
  for (;;) {
    const before = place.offset;
    for await (const chunk of contentOf(file, before)) {
      place.offset += chunk.to - chunk.from;
      const entries = entriesOf(decoder.push(chunk));
      if (entries.length > 0) yield { entries, next: { file: name, offset: place.offset - decoder.unfinished } };
      if (signal.aborted) return;
    }
    if (file.compressed || place.offset === before) return;
  }
}

const HEADER = 8;
const STAMP = 31;
/** A piece is cut off at 16 KiB, some bytes before that where a character would be cut apart. */
const PIECE = 16_384 - 4;

/** From frames of a header, a time and a text. */
function entriesOf(frames: Buffer): LogEntry[] {
  const entries: LogEntry[] = [];
  for (let at = 0; at < frames.length; ) {
    const end = at + HEADER + frames.readUInt32BE(at + 4);
    const text = frames.subarray(at + HEADER + STAMP, end);
    const whole = text.at(-1) === 10;
    entries.push({
      stderr: frames[at] === 2,
      time: timeOf(frames.toString("latin1", at + HEADER, at + HEADER + STAMP - 1)),
      text: whole ? text.subarray(0, -1) : text,
      piece: !whole && text.length > PIECE,
    });
    at = end;
  }
  return entries;
}

/** "2026-01-02T03:04:05.123456789Z" */
function timeOf(stamp: string): bigint {
  return BigInt(millisecondsOf(`${stamp.slice(0, 19)}Z`)) * 1_000_000n + BigInt(stamp.slice(20, 29));
}
