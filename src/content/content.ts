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
  readonly createdAt: string;
}

export interface Ingest {
  /** Bytes already there (a resumed download begins here). */
  readonly offset: number;
  write(chunk: Uint8Array): Promise<void>;
  /** Post-condition: the blob is stored under its digest. "invalid" when size or digest differ from what was expected; nothing is kept then. Committing what is already stored is no error. */
  commit(expected?: { readonly digest?: Digest | undefined; readonly size?: number | undefined }): Promise<BlobInfo>;
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
  /** Stores a value held in memory. */
  put(data: Uint8Array): Promise<BlobInfo>;
  walk(): Iterable<BlobInfo>;
  delete(digest: Digest): Promise<void>;
}
