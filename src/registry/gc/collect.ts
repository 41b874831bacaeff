/**
 * Takes away what nobody reaches, while requests go on.
 *
 * In each repository: what retention lets go of, then links to blobs that no manifest there needs; a young link stays, since the
 * manifest of a push comes last. Then blobs without any link, and uploads that nobody continued. What is linked meanwhile is seen: by
 * the time of its link (`touchBlob`), or because it was told of (`onLink`).
 */
import type { Digest } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { dropManifest } from "../manifests.ts";
import type { Storage } from "../storage/open.ts";
import { type RepositoryGraph, readGraph } from "./graph.ts";
import { type Removal, type RetentionRule, retire } from "./retention.ts";

export interface CollectOptions {
  readonly retention: readonly RetentionRule[];
  /** Milliseconds that a blob is kept without a manifest. */
  readonly grace: number;
  /** Milliseconds that an upload is kept after its last byte. */
  readonly uploadsExpire: number;
  /** Only say what would go. */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Collected {
  readonly tags: number;
  readonly manifests: number;
  readonly blobs: number;
  readonly uploads: number;
  /** That blobs and uploads gave back to the disk. */
  readonly bytes: number;
}

export async function collect(storage: Storage, options: CollectOptions, logger: Logger): Promise<Collected> {
  return await new Collection(storage, options, logger).run();
}

class Collection {
  readonly #storage: Storage;
  readonly #options: CollectOptions;
  readonly #logger: Logger;
  readonly #now = Date.now();
  /** Linked, or linked since this began. */
  readonly #reached = new Set<Digest>();
  readonly #counts = { tags: 0, manifests: 0, blobs: 0, uploads: 0, bytes: 0 };

  constructor(storage: Storage, options: CollectOptions, logger: Logger) {
    this.#storage = storage;
    this.#options = options;
    this.#logger = logger;
  }

  async run(): Promise<Collected> {
    const { repositories, uploads } = this.#storage;
    repositories.onLink = (digest) => this.#reached.add(digest);
    try {
      for (const name of await repositories.names()) {
        this.#options.signal?.throwIfAborted();
        await this.#tidy(name);
      }
      await this.#sweep();
      const expired = await uploads.expire(this.#now - this.#options.uploadsExpire, this.#options.dryRun === true);
      this.#counts.uploads = expired.uploads;
      this.#counts.bytes += expired.bytes;
    } finally {
      repositories.onLink = undefined;
    }
    return { ...this.#counts };
  }

  /** A repository of which not everything can be read keeps everything. */
  async #tidy(name: string): Promise<void> {
    const { repositories } = this.#storage;
    const doomed = new Set<Digest>();
    try {
      const removed = await this.#retire(name);
      for (const digest of [...removed.manifests, ...(await this.#unlink(name, removed))]) doomed.add(digest);
    } catch (error) {
      this.#logger.log("error", "a repository was left as it is", { repository: name, error: errorMessage(error) });
    }
    for (const digest of await repositories.manifests(name)) if (!doomed.has(digest)) this.#reached.add(digest);
    for (const digest of await repositories.blobLinks(name)) if (!doomed.has(digest)) this.#reached.add(digest);
    if (this.#options.dryRun !== true) await repositories.alone(name, () => repositories.removeEmpty(name));
  }

  /** Looks first, and again with the repository alone when there is something to do. */
  async #retire(name: string): Promise<Removal> {
    const { retention, dryRun } = this.#options;
    const plan = async () => retire(retention, name, await readGraph(this.#storage, name), this.#now);
    const first = retention.length === 0 ? { tags: [], manifests: [] } : await plan();
    const anything = first.tags.length + first.manifests.length > 0;
    const { repositories } = this.#storage;
    const removed =
      !anything || dryRun === true
        ? first
        : await repositories.alone(name, async () => {
            const removal = await plan();
            for (const tag of removal.tags) await repositories.removeTag(name, tag);
            for (const digest of removal.manifests) await dropManifest(this.#storage, name, digest);
            return removal;
          });
    this.#counts.tags += removed.tags.length;
    this.#counts.manifests += removed.manifests.length;
    return removed;
  }

  /** Links that no manifest needs; returns those that are (or, in a dry run, would be) gone. */
  async #unlink(name: string, removed: Removal): Promise<Set<Digest>> {
    const { repositories } = this.#storage;
    const needed = neededBlobs(await readGraph(this.#storage, name), new Set(removed.manifests));
    const gone = new Set<Digest>();
    const before = this.#now - this.#options.grace;
    for (const digest of await repositories.blobLinks(name)) {
      if (needed.has(digest)) continue;
      const unlinked =
        this.#options.dryRun === true
          ? ((await repositories.blobTouchedAt(name, digest)) ?? Number.POSITIVE_INFINITY) <= before
          : await repositories.alone(name, () => repositories.unlinkBlob(name, digest, before));
      if (unlinked) gone.add(digest);
    }
    return gone;
  }

  async #sweep(): Promise<void> {
    const { blobs } = this.#storage;
    for await (const { digest, freed } of blobs.walk()) {
      this.#options.signal?.throwIfAborted();
      if (this.#reached.has(digest)) continue;
      const removed = await blobs.alone(digest, async () => {
        if (this.#reached.has(digest)) return false;
        if (this.#options.dryRun !== true) await blobs.remove(digest);
        return true;
      });
      if (!removed) continue;
      this.#counts.blobs += 1;
      this.#counts.bytes += freed;
    }
  }
}

function neededBlobs({ manifests }: RepositoryGraph, except: ReadonlySet<Digest>): Set<Digest> {
  const nodes = [...manifests.values()].filter(({ digest }) => !except.has(digest));
  return new Set(nodes.flatMap(({ blobs }) => blobs));
}
