import { createHash, type Hash } from "node:crypto";
import type { Stats } from "node:fs";
import { chmod, type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Digest, digestOf, parseDigest } from "../base/digest.ts";
import { explainDiskFull } from "../base/disk-full.ts";
import { EngineError } from "../base/errors.ts";
import type { BlobInfo, Ingest } from "./content.ts";

const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
/** What nobody resumed for this long is removed at the next start. Milliseconds. */
const RESUMABLE_FOR = 7 * 24 * 3600_000;

/** The file name of a ref. What cannot be resumed is marked, so that it goes away after a crash. */
export function ingestName(ref: string, resume: boolean): string {
  const name = PLAIN_NAME.test(ref) ? ref : digestOf(ref).replace(":", "-");
  return resume ? `${name}.resumable` : `${name}.once`;
}

export function isResumable(name: string): boolean {
  return name.endsWith(".resumable");
}

export function isStaleIngest(name: string, stats: Stats): boolean {
  return !isResumable(name) || Date.now() - stats.mtimeMs > RESUMABLE_FOR;
}

export interface IngestOptions {
  readonly path: string;
  readonly resume: boolean;
  /** Where a digest's blob lives. */
  target(digest: Digest): string;
  /** Called when a blob gets its name without being on the disk yet. */
  unsynced(digest: Digest): void;
  /** Called once, when the file is no longer written. */
  released(): void;
}

/** Opens the file, hashing again what it holds when it is resumed. */
export async function openIngest(options: IngestOptions): Promise<Ingest> {
  const file = await open(options.path, options.resume ? "a+" : "w+", 0o600);
  try {
    const writer = new FileIngest(file, options);
    await writer.readAgain();
    return writer;
  } catch (error) {
    await file.close();
    throw error;
  }
}

class FileIngest implements Ingest {
  readonly #file: FileHandle;
  readonly #options: IngestOptions;
  #sha256: Hash = createHash("sha256");
  #size = 0;
  #offset = 0;
  #closed = false;
  #failed = false;
  /** Renamed, removed, or left for a resume: the name is no longer this writer's. */
  #gone = false;

  constructor(file: FileHandle, options: IngestOptions) {
    this.#file = file;
    this.#options = options;
  }

  get offset(): number {
    return this.#offset;
  }

  get path(): string {
    return this.#options.path;
  }

  async readAgain(): Promise<void> {
    if (!this.#options.resume) return;
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (;;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#size);
      if (bytesRead === 0) break;
      this.#sha256.update(buffer.subarray(0, bytesRead));
      this.#size += bytesRead;
    }
    this.#offset = this.#size;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#checkOpen();
    try {
      const writing = this.#writeAll(chunk, this.#size);
      this.#sha256.update(chunk);
      this.#size += chunk.length;
      await writing;
    } catch (error) {
      this.#failed = true;
      throw explainDiskFull(error, "storing a blob");
    }
  }

  async commit(expected: Parameters<Ingest["commit"]>[0] = {}): Promise<BlobInfo> {
    const { sync = true } = expected;
    this.#checkOpen();
    try {
      const digest = await this.#verified(expected);
      const target = this.#options.target(digest);
      if (sync) await this.#file.sync();
      else this.#options.unsynced(digest);
      await this.#settle();
      await chmod(this.#options.path, 0o444);
      await rename(this.#options.path, target);
      this.#letGo();
      if (sync) await syncFolder(dirname(target));
      const { mtime, blocks } = await stat(target);
      return { digest, size: this.#size, allocated: blocks * 512, createdAt: mtime.toISOString() };
    } catch (error) {
      await this.abort();
      throw explainDiskFull(error, "storing a blob");
    }
  }

  async close(): Promise<void> {
    if (this.#failed) return this.abort();
    await this.#settle();
    this.#letGo();
  }

  async abort(): Promise<void> {
    if (this.#gone) return;
    await this.#settle();
    await rm(this.#options.path, { force: true });
    this.#letGo();
  }

  async #writeAll(chunk: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const { bytesWritten } = await this.#file.write(chunk, at, chunk.length - at, position + at);
      at += bytesWritten;
    }
  }

  async #verified({ digest, size }: { readonly digest?: Digest | undefined; readonly size?: number | undefined }) {
    if (this.#failed) throw new EngineError("invalid", "a write to this ingest failed before");
    if (size !== undefined && size !== this.#size) {
      throw new EngineError("invalid", `blob has ${this.#size} bytes, expected ${size}`);
    }
    const actual = await this.#digest(digest);
    if (digest !== undefined && digest !== actual) {
      throw new EngineError("invalid", `blob has digest ${actual}, expected ${digest}`);
    }
    return actual;
  }

  /** sha256 was counted while writing; the rare sha512 reads the file again. */
  async #digest(expected: Digest | undefined): Promise<Digest> {
    if (expected === undefined || parseDigest(expected).algorithm === "sha256") {
      return `sha256:${this.#sha256.digest("hex")}`;
    }
    const hash = createHash("sha512");
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let at = 0; ; ) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return `sha512:${hash.digest("hex")}`;
      hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  }

  async #settle(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }

  #letGo(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#options.released();
  }

  #checkOpen(): void {
    if (this.#closed) throw new EngineError("internal", "the ingest is closed");
  }
}

/** A rename lasts only when its folder is on the disk too. */
export function syncFolder(path: string): Promise<void> {
  return syncPath(path);
}

/** Waits for the disk, on another thread. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
