import { chmodSync, createReadStream, mkdirSync, readdirSync, renameSync, rmSync, type Stats, statSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { type Digest, digestOf, parseDigest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import type { Paths } from "../store/paths.ts";
import type { BlobInfo, Content, Ingest } from "./content.ts";
import { ingestName, isResumable, isStaleIngest, openIngest, syncFolder, syncPath } from "./ingest.ts";

const ALGORITHMS = ["sha256", "sha512"] as const;
const DEFAULT_READ_LIMIT = 8 << 20;

/**
 * Opens the content of a data root. A blob is a file of this name and nothing else: there is no row that could disagree with it.
 * Removes ingests that a killed gantryd left and that nobody can resume.
 */
export function openContent({ paths }: { readonly paths: Paths }): Content {
  for (const algorithm of ALGORITHMS) mkdirSync(paths.blob(algorithm, ""), { recursive: true, mode: 0o711 });
  for (const name of readdirSync(paths.ingests)) {
    const path = paths.ingest(name);
    if (isStaleIngest(name, statSync(path))) rmSync(path, { recursive: true, force: true });
  }
  return new FileContent(paths);
}

class FileContent implements Content {
  readonly #paths: Paths;
  /** Refs with a writer. */
  readonly #open = new Set<string>();
  /** Adopted, and perhaps not on the disk yet. */
  readonly #unsynced = new Set<Digest>();

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  info(digest: Digest): BlobInfo | undefined {
    const stats = statSync(this.#file(digest), { throwIfNoEntry: false });
    return stats === undefined ? undefined : infoOf(digest, stats);
  }

  path(digest: Digest): string {
    if (this.info(digest) === undefined) throw missing(digest);
    return this.#file(digest);
  }

  async read(digest: Digest, limit: number = DEFAULT_READ_LIMIT): Promise<Buffer> {
    const info = this.info(digest);
    if (info === undefined) throw missing(digest);
    if (info.size > limit) {
      throw new EngineError("too-large", `blob ${digest} has ${info.size} bytes, at most ${limit} are read`);
    }
    return readFile(this.#file(digest));
  }

  stream(digest: Digest, range?: { readonly start: number; readonly end?: number | undefined }): Readable {
    const options = { highWaterMark: 1 << 20, start: range?.start ?? 0 };
    // An empty range cannot be said to createReadStream, whose end is inclusive.
    if (range?.end !== undefined && range.end <= options.start) return Readable.from([]);
    const end = range?.end === undefined ? {} : { end: range.end - 1 };
    return createReadStream(this.path(digest), { ...options, ...end });
  }

  async ingest(ref: string, options: { readonly resume?: boolean | undefined } = {}): Promise<Ingest> {
    const name = ingestName(ref, options.resume === true);
    if (this.#open.has(name)) throw new EngineError("conflict", `an ingest for ${JSON.stringify(ref)} is under way`);
    this.#open.add(name);
    try {
      return await openIngest({
        path: this.#paths.ingest(name),
        resume: options.resume === true,
        target: (digest) => this.#file(digest),
        unsynced: (digest) => this.#unsynced.add(digest),
        released: () => this.#open.delete(name),
      });
    } catch (error) {
      this.#open.delete(name);
      throw error;
    }
  }

  spare(ref: string): string {
    return this.#paths.ingest(ingestName(ref, false));
  }

  async adopt(path: string, { digest, size }: Pick<BlobInfo, "digest" | "size">, sync: boolean): Promise<BlobInfo> {
    const stored = this.info(digest);
    if (stored !== undefined) {
      rmSync(path, { force: true });
      return stored;
    }
    const actual = statSync(path).size;
    if (actual !== size) throw new EngineError("internal", `blob ${digest} has ${actual} bytes, expected ${size}`);
    chmodSync(path, 0o444);
    if (sync) await syncPath(path);
    renameSync(path, this.#file(digest));
    if (sync) await syncFolder(dirname(this.#file(digest)));
    else this.#unsynced.add(digest);
    return infoOf(digest, statSync(this.#file(digest)));
  }

  async sync(digests: Iterable<Digest>): Promise<void> {
    const due = [...new Set(digests)].filter((digest) => this.#unsynced.has(digest));
    await Promise.all(due.map((digest) => syncPath(this.#file(digest))));
    await Promise.all([...new Set(due.map((digest) => dirname(this.#file(digest))))].map(syncFolder));
    for (const digest of due) this.#unsynced.delete(digest);
  }

  async put(
    data: Uint8Array,
    { digest = digestOf(data), sync }: Parameters<Content["put"]>[1] = {},
  ): Promise<BlobInfo> {
    const stored = this.info(digest);
    if (stored !== undefined) return stored;
    const ingest = await this.ingest(`put-${newId()}`);
    try {
      await ingest.write(data);
      return await ingest.commit({ digest, sync });
    } catch (error) {
      await ingest.abort();
      throw error;
    }
  }

  unfinished(): number {
    return readdirSync(this.#paths.ingests).reduce((sum, name) => sum + this.#occupied(name), 0);
  }

  async discardUnfinished(): Promise<number> {
    let freed = 0;
    for (const name of readdirSync(this.#paths.ingests)) {
      if (!isResumable(name) || this.#open.has(name)) continue;
      freed += this.#occupied(name);
      // Out of everybody's way at once; a large file takes long to go.
      const aside = this.spare(`discarded-${newId()}`);
      renameSync(this.#paths.ingest(name), aside);
      await rm(aside, { force: true });
    }
    return freed;
  }

  #occupied(name: string): number {
    return (statSync(this.#paths.ingest(name), { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }

  *walk(): Iterable<BlobInfo> {
    for (const algorithm of ALGORITHMS)
      for (const hex of readdirSync(this.#paths.blob(algorithm, ""))) {
        const stats = statSync(this.#paths.blob(algorithm, hex), { throwIfNoEntry: false });
        if (stats !== undefined) yield infoOf(`${algorithm}:${hex}`, stats);
      }
  }

  async delete(digest: Digest): Promise<number> {
    this.#unsynced.delete(digest);
    const file = this.#file(digest);
    const stats = statSync(file, { throwIfNoEntry: false });
    // A large file takes long to go.
    await rm(file, { force: true });
    return stats === undefined || stats.nlink > 1 ? 0 : stats.blocks * 512;
  }

  #file(digest: Digest): string {
    const { algorithm, hex } = parseDigest(digest);
    return this.#paths.blob(algorithm, hex);
  }
}

function infoOf(digest: Digest, stats: Stats): BlobInfo {
  return { digest, size: stats.size, allocated: stats.blocks * 512, createdAt: stats.mtime.toISOString() };
}

function missing(digest: Digest): EngineError {
  return new EngineError("not-found", `blob ${digest} not found`);
}
