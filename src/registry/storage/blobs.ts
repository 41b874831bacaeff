/** Blobs by digest, for all repositories. A blob is its file and nothing else. */
import { createHash, randomUUID } from "node:crypto";
import { chmod, constants, copyFile, type FileHandle, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../../base/digest.ts";
import { errnoOf } from "../../base/errors.ts";
import { KeyedLock } from "../../base/locks.ts";
import { RegistryError } from "../errors.ts";
import { algorithmOf } from "../names.ts";
import { linkInto, namesIn, renameInto, whenThere, writeDurable } from "./files.ts";
import type { Layout } from "./layout.ts";
import type { Syncer } from "./syncer.ts";

export interface StoredBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Another file system, as many names as a file can have, or none allowed. */
const APART = new Set(["EXDEV", "EMLINK", "EPERM"]);
const ALGORITHMS = ["sha256", "sha512"] as const;

export class Blobs {
  readonly syncer: Syncer;
  readonly #layout: Layout;
  /** Storing and linking a blob is one task, removing it another: what is stored and not linked, nobody is about to link. */
  readonly #lock = new KeyedLock();

  constructor(layout: Layout, syncer: Syncer) {
    this.#layout = layout;
    this.syncer = syncer;
  }

  /** Runs with nobody storing, linking or removing the blob meanwhile. */
  alone<T>(digest: Digest, task: () => Promise<T>): Promise<T> {
    return this.#lock.run(digest, task);
  }

  async info(digest: Digest): Promise<StoredBlob | undefined> {
    const stats = await whenThere(stat(this.#layout.blob(digest)));
    return stats === undefined ? undefined : { digest, size: stats.size };
  }

  /** Open for reading; undefined when it is not stored. Closing is the caller's. */
  open(digest: Digest): Promise<FileHandle | undefined> {
    return whenThere(open(this.#layout.blob(digest), "r"));
  }

  /** The whole of a small blob. */
  async read(digest: Digest): Promise<Buffer | undefined> {
    const file = await this.open(digest);
    if (file === undefined) return undefined;
    try {
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  /**
   * Post-condition: the file, whose content the caller has verified, is the blob, and its old name is gone; both go to the disk soon. The first copy
   * stays when there are two.
   */
  async take(path: string, digest: Digest): Promise<void> {
    if ((await this.info(digest)) !== undefined) return await rm(path, { force: true });
    await this.syncer.mark(digest);
    await chmod(path, 0o444);
    await renameInto(path, this.#layout.blob(digest));
  }

  /** Stores a value held in memory. Throws DIGEST_INVALID when it has another digest. */
  async put(data: Uint8Array, digest: Digest): Promise<void> {
    const algorithm = algorithmOf(digest);
    const actual = `${algorithm}:${createHash(algorithm).update(data).digest("hex")}`;
    if (actual !== digest)
      throw new RegistryError("DIGEST_INVALID", `content has the digest ${actual}, not ${digest}`, {
        detail: { expected: digest, actual },
      });
    if ((await this.info(digest)) !== undefined) return;
    await writeDurable(this.#layout.blob(digest), data, this.#layout.tmp, 0o444);
  }

  /**
   * Post-condition: a file, whose content has this digest and never changes, is the blob too: by a second name for the same bytes, or where the two
   * cannot share them by a copy. False when the file is gone.
   */
  async share(path: string, digest: Digest): Promise<boolean> {
    if ((await this.info(digest)) !== undefined) return true;
    const target = this.#layout.blob(digest);
    try {
      await this.syncer.mark(digest);
      await linkInto(path, target);
    } catch (error) {
      const code = errnoOf(error) ?? "";
      if (code === "ENOENT") return false;
      if (!APART.has(code)) throw error;
      await this.#copy(path, target);
    }
    this.syncer.later(digest, [target]);
    return true;
  }

  async #copy(path: string, target: string): Promise<void> {
    const temporary = join(this.#layout.tmp, randomUUID());
    await copyFile(path, temporary, constants.COPYFILE_FICLONE);
    await chmod(temporary, 0o444);
    await renameInto(temporary, target);
  }

  /** Who reads it keeps the open file. */
  async remove(digest: Digest): Promise<void> {
    await rm(this.#layout.blob(digest), { force: true });
  }

  /** `freed`: bytes that the disk gets back without it; none while the file has another name, as in a store that shares it. */
  async *walk(): AsyncIterable<StoredBlob & { readonly freed: number }> {
    for (const algorithm of ALGORITHMS)
      for (const shelf of await namesIn(`${this.#layout.blobs}/${algorithm}`))
        for (const hex of await namesIn(`${this.#layout.blobs}/${algorithm}/${shelf}`)) {
          const digest: Digest = `${algorithm}:${hex}`;
          const stats = await whenThere(stat(this.#layout.blob(digest)));
          if (stats !== undefined) yield { digest, size: stats.size, freed: stats.nlink > 1 ? 0 : stats.size };
        }
  }
}
