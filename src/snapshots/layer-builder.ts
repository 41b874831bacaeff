import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import type { Digest } from "../base/digest.ts";
import { encodeTarHeader, TAR_END, tarPadding } from "../base/tar/encode.ts";
import type { TarHeader, TarSink } from "../base/tar/tar.ts";
import { NewFiles } from "../kernel/new-files.ts";
import { inheritAttributes } from "./inherit.ts";
import { explainEntryError, Unpacker, type WhiteoutMode } from "./unpacker.ts";

/** Where a layer is made by hand; plain values, so that a worker can have it. See `Snapshots.workplace`. */
export interface Workplace {
  /** An empty folder (a copy of the layer below, with the copy driver) that is nobody else's. */
  readonly root: string;
  /** The trees below, topmost first. */
  readonly below: readonly string[];
  readonly whiteouts: WhiteoutMode;
}

export interface BuiltTree {
  /** The digest of the layer's tar. */
  readonly diffId: Digest;
  /** Bytes of the tar. */
  readonly tarSize: number;
  /** Bytes of file data. */
  readonly size: number;
  readonly entries: number;
}

/** Pieces of the tar are put together up to this size before they are hashed and written. Bytes. */
const BUFFER = 256 << 10;

/**
 * Makes a layer's tree, its tar and its digest in one pass over its entries, synchronously. Entries come in the order of the tar: parents first,
 * sorted by path, paths clean ("usr/bin/x"). The tar goes to the file `tar`, made here; the caller names it or removes it.
 */
export class LayerBuilder implements TarSink {
  readonly #place: Workplace;
  readonly #unpacker: Unpacker;
  readonly #hash = createHash("sha256");
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER);
  #filled = 0;
  #tarSize = 0;
  #entries = 0;
  #left = 0;
  #padding: Buffer = TAR_END.subarray(0, 0);
  readonly #later = new NewFiles();

  constructor(place: Workplace, tar: string) {
    this.#place = place;
    this.#unpacker = new Unpacker({ root: place.root, mode: place.whiteouts, umask: process.umask() });
    this.#fd = openSync(tar, "wx", 0o600);
  }

  /**
   * Holes of sparse files are not kept: the data must come whole. A file that `isAlone`, which no entry has replaced or will replace, link
   * to, or lie below, may be made by the thread pool: the caller awaits `room` from time to time, and `settled` before `finish`.
   */
  entry(header: TarHeader, isAlone = false): void {
    this.#entries++;
    this.#unpacker.later = isAlone && this.#place.whiteouts === "overlay" ? this.#later : undefined;
    this.#unpacker.entry(header);
    const path = header.rawPath ?? header.path;
    this.#put(encodeTarHeader({ ...header, path, linkPath: header.rawLinkPath ?? header.linkPath }));
    this.#left = header.type === "file" ? header.size : 0;
    this.#padding = tarPadding(this.#left);
  }

  data(chunk: Buffer, position: number): void {
    this.#unpacker.data(chunk, position);
    this.#left -= chunk.length;
    this.#put(chunk);
  }

  end(): void {
    this.#unpacker.end();
    if (this.#left !== 0) throw new Error(`an entry's data has ${this.#left} bytes less than its header says`);
    this.#put(this.#padding);
  }

  /** Undefined: go on. */
  get room(): Promise<void> | undefined {
    return this.#later.room?.catch(explain);
  }

  /** Every file is made, or an error thrown; either way nothing is being made any more. */
  settled(): Promise<void> {
    return this.#later.settled().catch(explain);
  }

  /** Closes both; the layer's tree is whole, folders that no entry described look as below. */
  finish(): BuiltTree {
    this.#put(TAR_END);
    this.#flush();
    closeSync(this.#fd);
    const tree = this.#unpacker.finish();
    if (this.#place.whiteouts === "overlay") inheritAttributes(this.#place.root, tree.implied, this.#place.below);
    const diffId = `sha256:${this.#hash.digest("hex")}`;
    return { diffId, tarSize: this.#tarSize, size: tree.bytes, entries: this.#entries };
  }

  /** After an error. */
  abort(): void {
    this.#unpacker.abort();
    closeSync(this.#fd);
  }

  #put(bytes: Uint8Array): void {
    if (bytes.length > BUFFER - this.#filled) this.#flush();
    if (bytes.length > BUFFER) {
      this.#write(bytes);
    } else {
      this.#buffer.set(bytes, this.#filled);
      this.#filled += bytes.length;
    }
  }

  #flush(): void {
    this.#write(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #write(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#tarSize += bytes.length;
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
  }
}

function explain(error: unknown): never {
  throw explainEntryError(error, "of a copied file");
}
