/** Brings a kept folder to what a client's listing says, by asking only for the files whose lines are new. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../base/files.ts";
import type { SyncLine, SyncRequest } from "./contexts.ts";
import { FolderWriter, MAX_ENTRIES, type NodeMeta, type NodeType, type OpenFile } from "./folder-writer.ts";
import { readSyncLine } from "./sync-lines.ts";

export interface KeptFolder {
  /** Where the files are. */
  readonly tree: string;
  /** The listing that `tree` was brought to last; may be missing. */
  readonly list: string;
}

export interface SyncPlan {
  /** Nothing is different from last time. */
  readonly same: boolean;
  /** The digest of the listing: another one whenever a file may be another. */
  readonly version: Digest;
  /** Bytes on the disk afterwards, about. */
  readonly size: number;
  /** Post-condition: the folder holds what the listing says, and `list` is that listing. After a failure neither can be relied on. */
  run(request: Pick<SyncRequest, "contents" | "signal" | "onProgress">): Promise<void>;
}

/** Characters of a listing: it is held while the folder is compared and written. */
const MAX_LISTING = 256 << 20;

/** Reads the client's listing to its end and compares it with the last one. "too-large" for more files, or longer names, than `most`. */
export async function planSync(
  folder: KeptFolder,
  lines: AsyncIterable<string>,
  most = MAX_LISTING,
): Promise<SyncPlan> {
  const before = new Set(readList(folder.list));
  const listing: string[] = [];
  const fresh = new Map<number, SyncLine>();
  const kept = new Set<string>();
  const hash = createHash("sha256");
  let size = 0;
  let length = 0;
  for await (const text of lines) {
    length += text.length;
    if (length > most)
      throw new EngineError("too-large", `the names of the build context's files have more than ${most} characters`, {
        hint: "Leave out what the build does not need with a .dockerignore file.",
      });
    hash.update(`${text}\n`);
    if (listing.push(text) > MAX_ENTRIES)
      throw new EngineError("too-large", `the build context has more than ${MAX_ENTRIES} files`, {
        hint: "Leave out what the build does not need with a .dockerignore file.",
      });
    if (before.has(text)) kept.add(text);
    else fresh.set(listing.length - 1, readSyncLine(text));
    size += diskSize(text);
  }
  const gone = [...before].filter((text) => !kept.has(text)).map(readSyncLine);
  return {
    version: `sha256:${hash.digest("hex")}`,
    same: fresh.size === 0 && gone.length === 0 && before.size > 0,
    size,
    run: (request) => apply({ folder, listing, before: [...before].map(readSyncLine), gone, fresh }, request),
  };
}

interface Change {
  readonly folder: KeptFolder;
  readonly listing: readonly string[];
  readonly before: readonly SyncLine[];
  readonly gone: readonly SyncLine[];
  /** Lines that are new, by their numbers. */
  readonly fresh: ReadonlyMap<number, SyncLine>;
}

async function apply(
  { folder, listing, before, gone, fresh }: Change,
  { contents, signal, onProgress }: Pick<SyncRequest, "contents" | "signal" | "onProgress">,
): Promise<void> {
  const writer = new FolderWriter(folder.tree, new Map(before.map(([path, kind]) => [path, TYPES[kind]])));
  await removeGone(writer, gone, fresh);
  try {
    await makeFresh(writer, fresh, { contents, signal, onProgress });
  } finally {
    await writer.settled();
  }
  for (const [path, kind, , , , link] of fresh.values()) if (kind === "h") writer.hardlink(path, link);
  signal?.throwIfAborted();
  touchParents(writer, listing, [...gone, ...fresh.values()]);
  await writer.finish();
  writeFileAtomic(folder.list, `${listing.join("\n")}\n`, { mode: 0o600 });
}

/** All but further names; some may be on their way still. */
async function makeFresh(
  writer: FolderWriter,
  fresh: Change["fresh"],
  { contents, signal, onProgress }: Pick<SyncRequest, "contents" | "signal" | "onProgress">,
): Promise<void> {
  const files: SyncLine[] = [];
  const numbers: number[] = [];
  for (const [number, line] of fresh) {
    if (line[1] === "f" && line[4] > 0) {
      numbers.push(number);
      files.push(line);
    }
  }
  await makeOthers(writer, fresh);
  if (files.length > 0) await fill(writer, files, contents(numbers), { signal, onProgress });
}

/** What is not there any more, and what is something else now. */
async function removeGone(writer: FolderWriter, gone: readonly SyncLine[], fresh: Change["fresh"]): Promise<void> {
  const kinds = new Map([...fresh.values()].map(([path, kind]) => [path, kind]));
  let count = 0;
  for (const [path, kind] of gone.toReversed()) {
    if (kinds.get(path) !== kind) writer.remove(path);
    if (++count % BATCH === 0) await setImmediate();
  }
}

/** Folders, links and empty files: all that needs no bytes. */
async function makeOthers(writer: FolderWriter, fresh: Change["fresh"]): Promise<void> {
  let count = 0;
  for (const line of fresh.values()) {
    const [path, kind, , , size, link] = line;
    if (kind === "d") writer.directory(path, metaOf(line));
    else if (kind === "l") writer.symlink(path, link, metaOf(line));
    else if (size === 0) writer.fileLater(path, metaOf(line), NOTHING);
    await writer.room;
    if (++count % BATCH === 0) await setImmediate();
  }
}

/** Cuts the stream of bytes into the files. */
async function fill(
  writer: FolderWriter,
  files: readonly SyncLine[],
  bytes: AsyncIterable<Uint8Array>,
  { signal, onProgress }: Pick<SyncRequest, "signal" | "onProgress">,
): Promise<void> {
  const filler = new Filler(writer, files);
  const total = files.reduce((sum, [, , , , size]) => sum + size, 0);
  let received = 0;
  onProgress?.(received, total);
  try {
    for await (const chunk of bytes) {
      signal?.throwIfAborted();
      for (let at = 0; at < chunk.length; await writer.room) at = filler.take(chunk, at);
      received += chunk.length;
      onProgress?.(received, total);
    }
    filler.end();
  } finally {
    filler.abandon();
  }
}

class Filler {
  readonly #writer: FolderWriter;
  readonly #files: readonly SyncLine[];
  readonly #buffer = Buffer.allocUnsafeSlow(SMALL);
  #index = 0;
  #position = 0;
  /** Of a file that is too large to be put together in memory. */
  #file: OpenFile | undefined;

  constructor(writer: FolderWriter, files: readonly SyncLine[]) {
    this.#writer = writer;
    this.#files = files;
  }

  /** Takes the chunk from there, of BATCH files at most; returns how far it came. */
  take(chunk: Uint8Array, from: number): number {
    let at = from;
    for (const last = this.#index + BATCH; at < chunk.length && this.#index < last; ) at += this.#piece(chunk, at);
    return at;
  }

  /** What the chunk has of one file; returns how much that was. */
  #piece(chunk: Uint8Array, at: number): number {
    const line = this.#files[this.#index];
    if (line === undefined) throw new EngineError("invalid", "the client sent more bytes than its files have");
    const [path, , , , size] = line;
    const piece = chunk.subarray(at, at + size - this.#position);
    const isLast = this.#position + piece.length === size;
    if (size <= SMALL) this.#small(line, piece, isLast);
    else {
      this.#file ??= this.#writer.open(path, metaOf(line));
      this.#file.write(piece, this.#position);
      if (isLast) this.#file.close(size);
    }
    this.#position = isLast ? 0 : this.#position + piece.length;
    if (isLast) {
      this.#file = undefined;
      this.#index++;
    }
    return piece.length;
  }

  #small(line: SyncLine, piece: Uint8Array, isLast: boolean): void {
    const [path, , , , size] = line;
    if (piece.length < size) this.#buffer.set(piece, this.#position);
    const whole =
      piece.length < size ? this.#buffer.subarray(0, size) : Buffer.from(piece.buffer, piece.byteOffset, size);
    if (isLast) this.#writer.fileLater(path, metaOf(line), whole);
  }

  end(): void {
    const line = this.#files[this.#index];
    if (line === undefined) return;
    throw new EngineError("cancelled", `the client stopped sending its files at ${JSON.stringify(line[0])}`);
  }

  abandon(): void {
    this.#file?.abort();
    this.#file = undefined;
  }
}

/** A folder's time changed with what was made in it: it gets the listing's again. */
function touchParents(writer: FolderWriter, listing: readonly string[], changed: readonly SyncLine[]): void {
  const parents = new Set(changed.map(([path]) => path.slice(0, Math.max(0, path.lastIndexOf("/")))));
  if (parents.has("")) writer.directory("", { mode: 0o755, mtime: 0n });
  for (const text of listing) {
    if (!text.includes('","d",')) continue;
    const line = readSyncLine(text);
    if (line[1] === "d" && parents.has(line[0])) writer.directory(line[0], metaOf(line));
  }
}

/** Files up to this size are put together in memory. Bytes. */
const SMALL = 128 << 10;
/** Calls before other work gets its turn. */
const BATCH = 200;
const BLOCK = 4096;
const NOTHING = Buffer.alloc(0);
const TYPES: Readonly<Record<SyncLine[1], NodeType>> = { f: "file", d: "directory", l: "symlink", h: "file" };

const metaOf = ([, , mode, mtime]: SyncLine): NodeMeta => ({ mode, mtime: BigInt(mtime) });

/** What a line's file takes on the disk, without parsing the line: its size is the fifth field, and the path has no quote mark unescaped. */
function diskSize(text: string): number {
  const size = Number(/,"-?\d+",(\d+),/.exec(text)?.[1] ?? 0);
  return Math.max(1, Math.ceil(size / BLOCK)) * BLOCK + text.length;
}

function readList(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}
