import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { decompress } from "../base/decompress.ts";
import { type Digest, digestOf, isDigest, parseDigest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { cleanEntryPath } from "../base/tar/names.ts";
import { readTar, type TarEntry } from "../base/tar/reader.ts";
import type { BlobInfo, Content } from "../content/content.ts";
import { unpackBy } from "../kernel/unpack-tools.ts";
import type { Lease } from "./images.ts";

/** Files up to this size are kept in memory (they are the JSON documents), as long as all of them fit into the total. Bytes. */
const SMALL = 256 << 10;
const SMALL_TOTAL = 32 << 20;
/** Entries of one archive. */
const ENTRIES = 100_000;
const LINK_HOPS = 16;

type Spooled =
  | { readonly kind: "memory"; readonly bytes: Buffer }
  | { readonly kind: "blob"; readonly digest: Digest; readonly size: number }
  | { readonly kind: "link"; readonly to: string };

/**
 * An image archive taken apart while it streams, in whatever order its entries come: small files in memory, large ones in
 * content, each hashed and written once. A file under `blobs/` is verified against its name. What is stored is held by the lease.
 */
export class Spool {
  readonly #files = new Map<string, Spooled>();
  readonly #content: Content;
  readonly #lease: Lease;
  #inMemory = 0;

  private constructor(content: Content, lease: Lease) {
    this.#content = content;
    this.#lease = lease;
  }

  /** Reads the archive to its end: plain, gzip, zstd, bzip2 or xz. "invalid" for what is no tar. */
  static async read(archive: Readable, content: Content, lease: Lease): Promise<Spool> {
    const spool = new Spool(content, lease);
    for await (const entry of readTar(decompress(archive, unpackBy))) {
      if (spool.#files.size >= ENTRIES)
        throw new EngineError("invalid", `the archive has more than ${ENTRIES} entries: it is no image archive`);
      await spool.#take(entry);
    }
    return spool;
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /** A document's bytes; "invalid" when it is missing or longer than `limit`. */
  async bytes(path: string, limit: number): Promise<Buffer> {
    const file = this.#need(path);
    const size = file.kind === "memory" ? file.bytes.length : file.size;
    if (size > limit)
      throw new EngineError("invalid", `${path} in the archive has ${size} bytes, at most ${limit} are accepted`);
    return file.kind === "memory" ? file.bytes : await this.#content.read(file.digest, limit);
  }

  /** Post-condition: the file's bytes are a blob, of the given digest if they are few. "invalid" when it is missing, or has another. */
  async store(path: string, digest?: Digest): Promise<Pick<BlobInfo, "digest" | "size">> {
    const file = this.#need(path);
    if (file.kind === "blob") return file;
    return await this.#lease.store(() => this.#content.put(file.bytes, { digest }));
  }

  /** Post-condition: bytes that were made from the archive's are a blob. */
  async put(bytes: Buffer): Promise<BlobInfo> {
    return await this.#lease.store(() => this.#content.put(bytes));
  }

  /** Post-condition: the blob is stored and held. Undefined when neither the archive nor content has it. */
  async blob(digest: Digest): Promise<Pick<BlobInfo, "digest" | "size"> | undefined> {
    await this.#lease.hold([digest]);
    const path = blobPath(digest);
    return this.has(path) ? await this.store(path, digest) : this.#content.info(digest);
  }

  async #take(entry: TarEntry): Promise<void> {
    const { header } = entry;
    const path = cleanEntryPath(header.path);
    if (path === undefined)
      throw new EngineError("invalid", `invalid archive: ${JSON.stringify(header.path)} leaves the archive`);
    if (header.type === "symlink") this.#link(path, `${folderOf(path)}/${header.linkPath}`);
    else if (header.type === "hardlink") this.#link(path, header.linkPath);
    else if (header.type === "file") await this.#takeFile(path, entry);
  }

  #link(path: string, target: string): void {
    const to = cleanEntryPath(target);
    if (to !== undefined && to !== "") this.#files.set(path, { kind: "link", to });
  }

  async #takeFile(path: string, entry: TarEntry): Promise<void> {
    const expected = blobDigest(path);
    const { size } = entry.header;
    if (size <= SMALL && this.#inMemory + size <= SMALL_TOTAL) {
      const bytes = await entry.bytes(SMALL);
      if (expected !== undefined) verify(path, bytes, expected);
      this.#inMemory += size;
      this.#files.set(path, { kind: "memory", bytes });
      return;
    }
    this.#files.set(path, { kind: "blob", ...(await this.#blob(path, entry, expected)) });
  }

  async #blob(path: string, entry: TarEntry, expected: Digest | undefined) {
    if (expected !== undefined) {
      await this.#lease.hold([expected]);
      const stored = this.#content.info(expected);
      if (stored !== undefined) return stored;
    }
    const ingest = await this.#content.ingest(`load-${newId()}`);
    try {
      for await (const chunk of entry.body()) await ingest.write(chunk as Buffer);
      return await this.#lease.store(() => ingest.commit({ digest: expected }));
    } catch (error) {
      await ingest.abort();
      if (error instanceof EngineError && error.kind === "invalid")
        throw new EngineError("invalid", `invalid archive: ${path}: ${error.message}`, { cause: error });
      throw error;
    }
  }

  #need(path: string): Exclude<Spooled, { kind: "link" }> {
    const file = this.#find(path);
    if (file === undefined) throw new EngineError("invalid", `invalid archive: it has no file ${JSON.stringify(path)}`);
    return file;
  }

  /** Follows links inside the archive. */
  #find(path: string): Exclude<Spooled, { kind: "link" }> | undefined {
    let clean = cleanEntryPath(path);
    for (let hop = 0; hop < LINK_HOPS && clean !== undefined; hop++) {
      const file = this.#files.get(clean);
      if (file?.kind !== "link") return file;
      clean = file.to;
    }
    return undefined;
  }
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

export function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}

/** "blobs/sha256/<hex>" says what its bytes must hash to. */
function blobDigest(path: string): Digest | undefined {
  const match = /^blobs\/([^/]+)\/([^/]+)$/.exec(path);
  const digest = match === null ? "" : `${match[1]}:${match[2]}`;
  return isDigest(digest) ? digest : undefined;
}

function verify(path: string, bytes: Buffer, expected: Digest): void {
  const { algorithm } = parseDigest(expected);
  const actual =
    algorithm === "sha256" ? digestOf(bytes) : `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
  if (actual !== expected)
    throw new EngineError("invalid", `invalid archive: ${path}: blob has digest ${actual}, expected ${expected}`);
}
