/**
 * The content module's contract: immutable bytes, found by their digest.
 *
 * Life of a blob: `ingest(ref)` opens (or resumes) a writer at `content/ingest/<ref>`; bytes are hashed as they are written;
 * `commit` compares size and digest, syncs, makes the file read-only and renames it to `content/blobs/<algorithm>/<hex>`; only
 * then does `info` know it. What nobody reaches any more is removed by `collect`, never while a lease or an ingest holds it.
 */
import type { Readable } from "node:stream";
import type { Digest } from "../base/digest.ts";

export interface BlobInfo {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Bytes that the file takes on the disk. */
  readonly allocated: number;
  readonly createdAt: string;
}

export interface Ingest {
  /** Bytes already there (a resumed download begins here). */
  readonly offset: number;
  /** Its file; what was written can be read there until it is committed or aborted. */
  readonly path: string;
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Post-condition: the blob is stored under its digest. "invalid" when size or digest differ from what was expected; nothing is kept then.
   * Committing what is already stored is no error. `sync: false`: call `Content.sync` before something that lasts refers to it.
   */
  commit(expected?: {
    readonly digest?: Digest | undefined;
    readonly size?: number | undefined;
    readonly sync?: boolean | undefined;
  }): Promise<BlobInfo>;
  /** Closes; keeps the bytes for a later resume. */
  close(): Promise<void>;
  /** Closes and removes the bytes. */
  abort(): Promise<void>;
}

export interface Content {
  info(digest: Digest): BlobInfo | undefined;
  /** The blob's file, read-only; "not-found" when it is not stored. */
  path(digest: Digest): string;
  /** The whole blob in memory; "too-large" past `limit` bytes (default 8 MiB). */
  read(digest: Digest, limit?: number): Promise<Buffer>;
  stream(digest: Digest, range?: { readonly start: number; readonly end?: number | undefined }): Readable;
  /** One writer per ref at a time ("conflict" otherwise). */
  ingest(ref: string, options?: { readonly resume?: boolean | undefined }): Promise<Ingest>;
  /** A path below `content/ingest` where a caller may write a file for `adopt`. What is left there is gone after a restart. */
  spare(ref: string): string;
  /**
   * Names a file of `spare`, written by the caller, who counted size and digest while writing. With `sync` it is on the disk before that;
   * otherwise call `sync` before something that lasts refers to it. Idempotent for what is stored already.
   */
  adopt(path: string, blob: { readonly digest: Digest; readonly size: number }, sync: boolean): Promise<BlobInfo>;
  /** Brings blobs to the disk that were adopted, committed or put without it, all at once. Others cost nothing. */
  sync(digests: Iterable<Digest>): Promise<void>;
  /** Stores a value held in memory, under its SHA-256 or the given digest: "invalid" when that is not its. `sync` as for `Ingest.commit`. */
  put(
    data: Uint8Array,
    options?: { readonly digest?: Digest | undefined; readonly sync?: boolean | undefined },
  ): Promise<BlobInfo>;
  /** Bytes on the disk of what is no blob yet: under way, or kept for a resume. */
  unfinished(): number;
  /** Removes what is kept for a resume and nobody writes now. Returns the bytes that the disk got back. */
  discardUnfinished(): Promise<number>;
  walk(): Iterable<BlobInfo>;
  /** Returns the bytes that the disk got back: none while the file has another name, as in a registry that shares it. */
  delete(digest: Digest): Promise<number>;
}
