/** Reading a log: what is there, in order over the rotated files, and then what comes. */
import { fstatSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { type Changes, watchFolder } from "./changes.ts";
import { type Chunk, gunzipChunks, plainChunks } from "./chunks.ts";
import { LogDecoder } from "./decoder.ts";
import { closeLogFiles, type LogFile, openLogFiles, openSuccessor } from "./files.ts";
import type { LogPosition, LogReadOptions } from "./logs.ts";
import { findTail } from "./tail.ts";

export async function* readLog(path: string, options: LogReadOptions): AsyncGenerator<Uint8Array, void> {
  const { follow, signal } = options;
  if (signal?.aborted) return;
  if (follow === undefined) {
    yield* readExisting(path, options, new LogDecoder(options));
    return;
  }
  using changes = watchFolder(dirname(path));
  signal?.addEventListener("abort", changes.wake, { once: true });
  try {
    yield* readAndFollow(path, options, changes);
  } finally {
    signal?.removeEventListener("abort", changes.wake);
  }
}

interface Place {
  readonly file: LogFile;
  readonly offset: number;
}

/** Returns where it stopped in the current file, which stays open; undefined when there is no file to go on with. */
async function* readExisting(
  path: string,
  options: LogReadOptions,
  decoder: LogDecoder,
  keep = false,
): AsyncGenerator<Uint8Array, Place | undefined> {
  const { files, ends } = upTo(openLogFiles(path), options.end);
  let kept: LogFile | undefined;
  try {
    const start = options.tail === undefined ? undefined : await findTail(files, ends, options.tail);
    for (let index = start?.file ?? 0; index < files.length; index++) {
      const file = files[index];
      if (file === undefined) break;
      const first = index === start?.file ? start : { offset: 0, lines: 0 };
      decoder.nextFile();
      for await (const chunk of chunksOf(file, first, ends[index])) {
        yield* decoded(decoder, chunk);
        if (decoder.done || options.signal?.aborted) return undefined;
      }
    }
    if (!keep) return undefined;
    const last = files.at(-1);
    if (last === undefined) return undefined;
    kept = last;
    return { file: last, offset: ends.at(-1) ?? last.size };
  } finally {
    closeLogFiles(files.filter((file) => file !== kept));
  }
}

/** What `end` leaves of the files, and up to where each is read: a log that grows while it is read does not keep us. */
function upTo(files: LogFile[], end: LogPosition | undefined): { files: LogFile[]; ends: number[] } {
  const at = end === undefined ? files.length - 1 : files.findIndex(({ inode }) => inode === end.generation);
  // A file that is found no more was compressed meanwhile: all but the current one lie before it, or are it.
  const count = at >= 0 ? at + 1 : Math.max(0, files.length - 1);
  closeLogFiles(files.splice(count));
  const ends = files.map(({ size }, index) => (end !== undefined && index === at ? Math.min(size, end.offset) : size));
  return { files, ends };
}

async function* chunksOf(
  file: LogFile,
  { offset, lines }: { offset: number; lines: number },
  end = file.size,
): AsyncGenerator<Chunk, void> {
  if (!file.compressed) {
    yield* plainChunks(file.fd, offset, end);
    return;
  }
  let left = lines;
  for await (const chunk of gunzipChunks(file)) {
    let { from } = chunk;
    while (left > 0 && from < chunk.to) {
      const feed = chunk.buffer.subarray(from, chunk.to).indexOf(10);
      if (feed >= 0) left--;
      from = feed < 0 ? chunk.to : from + feed + 1;
    }
    if (from < chunk.to) yield { ...chunk, from };
  }
}

function* decoded(decoder: LogDecoder, chunk: Chunk): Generator<Uint8Array, void> {
  const output = decoder.push(chunk);
  if (output.length > 0) yield output;
}

async function* readAndFollow(
  path: string,
  options: LogReadOptions,
  changes: Changes,
): AsyncGenerator<Uint8Array, void> {
  const over = overWhen(options, changes);
  const decoder = new LogDecoder(options);
  let place: Place | undefined;
  try {
    place = yield* readExisting(path, options, decoder, true);
    while (!decoder.done && !options.signal?.aborted) {
      const last = over.now;
      if (place !== undefined) place = yield* readOn(place, decoder);
      if (decoder.done) return;
      const next = nextFile(path, place);
      if (next !== undefined) {
        // What came between our last look and the rotation.
        if (place !== undefined) yield* readOn(place, decoder);
        if (place !== undefined) closeLogFiles([place.file]);
        place = { file: next, offset: 0 };
        decoder.nextFile();
      } else if (last) {
        return;
      } else {
        await changes.next();
      }
    }
  } finally {
    over.stop();
    if (place !== undefined) closeLogFiles([place.file]);
  }
}

/** Reads what the file has now; where it stopped. A file that shrank was emptied by someone: it is read from its start. */
async function* readOn({ file, offset }: Place, decoder: LogDecoder): AsyncGenerator<Uint8Array, Place> {
  const { size } = fstatSync(file.fd);
  if (file.compressed && offset > 0) return { file, offset };
  if (size < offset) decoder.nextFile();
  let position = size < offset ? 0 : offset;
  for await (const chunk of chunksOf(file, { offset: position, lines: 0 }, size)) {
    position += chunk.to - chunk.from;
    yield* decoded(decoder, chunk);
    if (decoder.done) break;
  }
  return { file, offset: position };
}

/** The file to go on with when ours is not the current one any more; undefined while it is. */
function nextFile(path: string, place: Place | undefined): LogFile | undefined {
  const current = statSync(path, { throwIfNoEntry: false });
  if (current === undefined || current.ino === place?.file.inode) return undefined;
  return openSuccessor(path, place?.file);
}

/** `now` turns true, and the reader wakes, when the writer ended or `until` passed. */
function overWhen({ follow, until }: LogReadOptions, changes: Changes): { readonly now: boolean; stop(): void } {
  let now = false;
  const end = () => {
    now = true;
    changes.wake();
  };
  follow?.ended.then(end, end);
  const left = until === undefined ? undefined : Number(until / 1_000_000n) - Date.now();
  const timer = left === undefined || left > 2 ** 31 - 1 ? undefined : setTimeout(end, Math.max(0, left));
  return {
    get now() {
      return now;
    },
    stop: () => clearTimeout(timer),
  };
}
