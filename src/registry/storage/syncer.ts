/**
 * Puts blobs on the disk behind the client's back. A blob is answered for when its bytes are verified and with the kernel, which no kill of
 * this process takes back; a manifest is answered for when its blobs are on the disk, which no power cut takes back. So uploads go as
 * fast as memory, and what is tagged lasts.
 *
 * A blob that is not on the disk yet has a marker with the machine's boot. A journalling file system writes the marker before the
 * blob's name. Where a marker of another boot is found, the blob is compared with its digest before anybody may see it.
 */

import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { open, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Digest, isDigest } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { algorithmOf } from "../names.ts";
import { namesIn, readText, whenThere } from "./files.ts";
import type { Layout } from "./layout.ts";

/** Blobs that are put on the disk at a time: one alone leaves a disk idle, many only wait for each other. */
const AT_ONCE = 2;

export class Syncer {
  readonly #layout: Layout;
  readonly #logger: Logger;
  readonly #boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  readonly #pending = new Map<Digest, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(layout: Layout, logger: Logger) {
    this.#layout = layout;
    this.#logger = logger;
  }

  /** Before the blob has its name. */
  async mark(digest: Digest): Promise<void> {
    await writeFile(this.#layout.unsynced(digest), this.#boot);
  }

  /** After it: files and their folders go to the disk, soon. The first is the blob. */
  later(digest: Digest, paths: readonly string[]): void {
    const before = this.#pending.get(digest);
    const task = this.#put(digest, paths, before);
    this.#pending.set(digest, task);
    task.then(
      () => this.#forget(digest, task),
      (error) => {
        this.#forget(digest, task);
        this.#logger.log("error", "a blob could not be put on the disk", { digest, error: errorMessage(error) });
      },
    );
  }

  /** Resolves when these are on the disk; rejects when one could not be put there. */
  async settled(digests: Iterable<Digest>): Promise<void> {
    await Promise.all(Array.from(digests, (digest) => this.#pending.get(digest)));
  }

  /** What an earlier process left: put on the disk, or compared first when the machine went down since. */
  async recover(): Promise<void> {
    for (const file of await namesIn(this.#layout.unsyncedFolder)) {
      const digest = file.replace("-", ":");
      if (!isDigest(digest)) continue;
      const sameBoot = (await readText(this.#layout.unsynced(digest))) === this.#boot;
      if (!sameBoot && !(await this.#isWhole(digest))) {
        this.#logger.log("warn", "a blob was lost with the machine's power", { digest });
        await rm(this.#layout.blob(digest), { force: true });
      }
      this.later(digest, [this.#layout.blob(digest)]);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#pending.values());
  }

  async #put(digest: Digest, paths: readonly string[], before: Promise<void> | undefined): Promise<void> {
    await before?.catch(() => {});
    await this.#turn();
    try {
      for (const path of paths) await sync(path);
      for (const folder of new Set(paths.map(dirname))) await sync(folder);
      await rm(this.#layout.unsynced(digest), { force: true });
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #turn(): Promise<void> {
    while (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
  }

  #forget(digest: Digest, task: Promise<void>): void {
    if (this.#pending.get(digest) === task) this.#pending.delete(digest);
  }

  async #isWhole(digest: Digest): Promise<boolean> {
    const algorithm = algorithmOf(digest);
    const hash = createHash(algorithm);
    const source = createReadStream(this.#layout.blob(digest), { highWaterMark: 1 << 20 });
    const read = pipeline(source, async (chunks) => {
      for await (const chunk of chunks) hash.update(chunk);
    });
    const found = await whenThere(read.then(() => true));
    return found === true && `${algorithm}:${hash.digest("hex")}` === digest;
  }
}

/** A file, or the names in a folder. What was removed meanwhile needs none. */
async function sync(path: string): Promise<void> {
  const file = await whenThere(open(path, "r"));
  if (file === undefined) return;
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
