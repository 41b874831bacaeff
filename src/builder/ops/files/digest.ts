import { createHash, type Hash, hash } from "node:crypto";
import { type BigIntStats, closeSync, readSync } from "node:fs";
import type { Digest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { getXattr, listXattrs } from "../../../kernel/xattrs.ts";
import { Breath } from "./breath.ts";
import { Hashes } from "./hashes.ts";
import { select } from "./select.ts";
import type { SelectedEntry, Selection } from "./selection.ts";
import { SourceTree } from "./source-tree.ts";

export interface SelectionDigest {
  /** Of names, types, modes, owners, contents, link targets and extended attributes; not of times. */
  readonly digest: Digest;
  /** What it is as a whole. */
  readonly shape: "file" | "dir" | "multi";
  readonly entries: number;
  /** Of all files. */
  readonly bytes: number;
  /** Bytes that had to be read. */
  readonly read: number;
}

export interface DigestTask {
  readonly kind: "digest";
  readonly selection: Selection;
  /** Entries, and bytes to be read, past which it fails with TooMuch. */
  readonly atMost?: { readonly entries: number; readonly bytes: number } | undefined;
  /** Set to 1 from any thread. */
  readonly stop: Int32Array;
}

export class TooMuch extends Error {}

/** The digest of what a selection takes. What is read is read once, as long as it does not change. */
export async function digestSelection({ selection, stop, atMost }: DigestTask): Promise<SelectionDigest> {
  const breath = new Breath(() => checkStop(stop));
  using tree = new SourceTree(selection.source.root);
  const entries = await select(tree, selection, breath);
  if (atMost !== undefined && entries.length > atMost.entries) throw new TooMuch();
  const hashes = new Hashes(selection.source.hashes);
  const reader = new Reader(tree, hashes, stop);
  const all = createHash("sha256");
  for (const entry of entries) {
    if (breath.due) await breath.take();
    if (atMost !== undefined && reader.read + Number(entry.stats.size) > atMost.bytes) throw new TooMuch();
    describe(all, entry, selection.source.foreign, reader.contentOf(entry));
  }
  hashes.save();
  const { bytes, read } = reader;
  return { digest: `sha256:${all.digest("hex")}`, shape: shapeOf(entries), entries: entries.length, bytes, read };
}

function shapeOf(entries: readonly SelectedEntry[]): SelectionDigest["shape"] {
  const named = entries.filter((entry) => entry.named).length;
  if (named === 0) return "dir";
  return named === 1 && entries.length === 1 ? "file" : "multi";
}

function describe(hash: Hash, { to, stats, named }: SelectedEntry, foreign: boolean, content: string): void {
  const owner = foreign ? "" : `${stats.uid}:${stats.gid}`;
  hash.update(`${to.length} ${named ? "n" : "-"} ${stats.mode.toString(8)} ${owner} ${content} `);
  hash.update(to, "latin1");
}

class Reader {
  bytes = 0;
  read = 0;
  readonly #tree: SourceTree;
  readonly #hashes: Hashes;
  readonly #stop: Int32Array;
  readonly #buffer = Buffer.allocUnsafeSlow(256 << 10);

  constructor(tree: SourceTree, hashes: Hashes, stop: Int32Array) {
    this.#tree = tree;
    this.#hashes = hashes;
    this.#stop = stop;
  }

  /** One word. */
  contentOf({ path, stats }: SelectedEntry): string {
    if (stats.isFile()) {
      this.bytes += Number(stats.size);
      const known = this.#hashes.get(path, stats);
      if (known !== undefined) return known;
      const digest = this.#file(path, stats);
      this.#hashes.set(path, stats, digest);
      return digest;
    }
    if (stats.isSymbolicLink()) return this.#tree.linkTarget(path).toString("hex");
    return stats.isDirectory() ? "d" : `${stats.rdev}`;
  }

  #file(path: string, stats: BigIntStats): string {
    const data = this.#tree.readPlain(path, this.#buffer);
    if (data === undefined) return this.#inPieces(path, stats);
    this.read += data.length;
    return hash("sha256", data, "hex");
  }

  #inPieces(path: string, stats: BigIntStats): string {
    const hash = createHash("sha256");
    const fd = this.#tree.openFile(path);
    try {
      for (let at = 0; ; ) {
        const count = readSync(fd, this.#buffer, 0, this.#buffer.length, at);
        if (count === 0) break;
        hash.update(this.#buffer.subarray(0, count));
        at += count;
        this.read += count;
        if (at >= Number(stats.size) && count < this.#buffer.length) break;
        checkStop(this.#stop);
      }
    } finally {
      closeSync(fd);
    }
    for (const [name, value] of xattrsOf(this.#tree.place(path))) hash.update(`${name}=${value.toString("hex")} `);
    return hash.digest("hex");
  }
}

/** Those that a copy keeps. */
export function xattrsOf(place: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const name of listXattrs(place).sort()) {
    if (name !== "security.capability" && !/^user\.(?!overlay\.)/.test(name)) continue;
    const value = getXattr(place, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

export function checkStop(stop: Int32Array): void {
  if (Atomics.load(stop, 0) !== 0) throw new EngineError("cancelled", "the build was cancelled");
}
