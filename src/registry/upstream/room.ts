/**
 * Room in a cache whose quota is used up: what nobody pulled for longest goes, whole images at a time. It comes back by the next pull, so
 * that a client which is in the midst of one notices nothing.
 *
 * What repositories hold is added up once for each and forgotten when it changes, so that a full cache reads only what changed since.
 */
import type { Digest } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import { KeyedLock } from "../../base/locks.ts";
import type { Logger } from "../../base/log.ts";
import { closureOf, type ManifestNode, type RepositoryGraph, readGraph } from "../gc/graph.ts";
import { readManifest } from "../manifest.ts";
import { dropManifest } from "../manifests.ts";
import type { Quotas } from "../quotas.ts";
import type { Storage } from "../storage/open.ts";
import { Holders } from "./holders.ts";

export interface RoomParts {
  readonly storage: Storage;
  readonly quotas: Quotas;
  readonly logger: Logger;
  /** Whether a repository is a copy: nothing else is taken from. */
  readonly isCopy: (name: string) => boolean;
}

export interface Wanted {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The image that has it stays. */
  readonly digest: Digest;
  /** Bytes of the blobs that it names, when it is a manifest. */
  readonly names?: ReadonlyMap<string, number> | undefined;
}

/** A manifest that no index lists, with what only it names. */
interface Victim {
  readonly name: string;
  readonly root: Digest;
  /** Milliseconds since the epoch: the latest of all that it names. */
  readonly usedAt: number;
}

/** What of a repository may go. */
interface Holding {
  readonly victims: readonly Victim[];
  /** Bytes that all of them give back together. */
  readonly bytes: number;
}

const NOTHING: Holding = Object.freeze({ victims: [], bytes: 0 });

export class Room {
  readonly #parts: RoomParts;
  readonly #holders: Holders;
  readonly #holdings = new Map<string, Promise<Holding>>();
  readonly #lock = new KeyedLock();

  /** For a storage that nobody changes meanwhile. */
  static async open(parts: RoomParts): Promise<Room> {
    return new Room(parts, await Holders.open(parts.storage));
  }

  private constructor(parts: RoomParts, holders: Holders) {
    this.#parts = parts;
    this.#holders = holders;
    parts.storage.repositories.watchers.add((name) => this.#holdings.delete(name));
  }

  /**
   * Post-condition: true, and the quotas have room, which images that were unused for longer may have made; or false, and nothing went, when the
   * image that the bytes belong to would not fit though all of these went.
   */
  make(wanted: Wanted): Promise<boolean> {
    return this.#lock.run("room", () => this.#make(wanted));
  }

  /** The same, and nobody else is given the room before `take` has taken it. Undefined when there is none. */
  run<T>(wanted: Wanted, take: () => Promise<T>): Promise<T | undefined> {
    return this.#lock.run("room", async () => ((await this.#make(wanted)) ? await take() : undefined));
  }

  async #make(wanted: Wanted): Promise<boolean> {
    const { quotas, logger } = this.#parts;
    if (quotas.shortages(wanted.name, wanted.size).length === 0) return true;
    const image = await this.#missingBytes(wanted);
    const short = quotas.shortages(wanted.name, image);
    const isCounted = (name: string) => short.some((one) => one.isCounted(name));
    const holdings = await this.#holdingsOf(isCounted, wanted);
    for (const { used, quota, isCounted: isIts } of short) {
      let bytes = 0;
      for (const [name, holding] of holdings) if (isIts(name)) bytes += holding.bytes;
      if (used + image - quota > bytes) return false;
    }
    const victims = [...holdings.values()].flatMap((holding) => holding.victims).sort((a, b) => a.usedAt - b.usedAt);
    for (const victim of victims) {
      const missing = quotas.shortages(wanted.name, wanted.size);
      if (missing.length === 0) return true;
      if (!missing.some((one) => one.isCounted(victim.name))) continue;
      await this.#evict(victim);
      logger.log("info", "an image made room in the cache", { repository: victim.name, manifest: victim.root });
    }
    return quotas.shortages(wanted.name, wanted.size).length === 0;
  }

  /** Bytes of the smallest image with what is wanted that the repository has neither got nor is getting; at least its own. */
  async #missingBytes({ name, size, digest, names }: Wanted): Promise<number> {
    const { storage } = this.#parts;
    const missing = async (sizes: ReadonlyMap<string, number>) => {
      let sum = 0;
      for (const [blob, bytes] of sizes)
        if ((await storage.repositories.blobTouchedAt(name, blob as Digest)) === undefined) sum += bytes;
      return sum;
    };
    const sums = names === undefined ? [] : [size + (await missing(names))];
    for (const manifest of names === undefined ? await storage.repositories.manifests(name) : []) {
      const sizes = await sizesOf(storage, manifest);
      if (sizes.has(digest)) sums.push(await missing(sizes));
    }
    const coming = storage.uploads.pending((other) => other === name);
    return Math.max(size, Math.min(...sums) - coming, sums.length === 0 ? size : 0);
  }

  async #holdingsOf(isCounted: (name: string) => boolean, wanted: Wanted): Promise<ReadonlyMap<string, Holding>> {
    const { storage, isCopy } = this.#parts;
    const names = (await storage.repositories.names()).filter((name) => isCounted(name) && isCopy(name));
    const found = new Map<string, Holding>();
    for (const name of names)
      found.set(name, name === wanted.name ? await this.#read(name, wanted.digest) : await this.#holding(name));
    return found;
  }

  #holding(name: string): Promise<Holding> {
    const known = this.#holdings.get(name) ?? this.#read(name);
    this.#holdings.set(name, known);
    return known;
  }

  /** Without the image of `kept`. */
  async #read(name: string, kept?: Digest): Promise<Holding> {
    const { storage, logger } = this.#parts;
    try {
      const graph = await readGraph(storage, name);
      const staying: ManifestNode[] = [];
      const going: ManifestNode[] = [];
      const victims: Victim[] = [];
      for (const root of rootsOf(graph)) {
        const nodes = [...closureOf(graph, [root])].flatMap((digest) => graph.manifests.get(digest) ?? []);
        const stays = kept !== undefined && nodes.some(({ digest, blobs }) => digest === kept || blobs.includes(kept));
        (stays ? staying : going).push(...nodes);
        if (!stays) victims.push({ name, root, usedAt: Math.max(...nodes.map(({ usedAt }) => usedAt)) });
      }
      return { victims, bytes: await bytesOf(storage, name, { going, staying }) };
    } catch (error) {
      logger.log("error", "a repository was left as it is", { repository: name, error: errorMessage(error) });
      return NOTHING;
    }
  }

  /** Post-condition: the repository has neither the image nor what only it needed; blobs that no other repository has are gone. */
  async #evict({ name, root }: Victim): Promise<void> {
    const { storage } = this.#parts;
    const { repositories } = storage;
    const unlinked = await repositories.alone(name, async () => {
      const graph = await readGraph(storage, name);
      const others = [...rootsOf(graph)].filter((digest) => digest !== root);
      const kept = closureOf(graph, others);
      const gone = [...closureOf(graph, [root])].filter((digest) => !kept.has(digest));
      const blobsOf = (digest: Digest) => graph.manifests.get(digest)?.blobs ?? [];
      const needed = new Set([...kept].flatMap(blobsOf));
      for (const { tag, digest } of graph.tags) if (gone.includes(digest)) await repositories.removeTag(name, tag);
      for (const digest of gone) await dropManifest(storage, name, digest);
      const free = [...new Set(gone.flatMap(blobsOf))].filter((digest) => !needed.has(digest));
      for (const digest of free) await repositories.unlinkBlob(name, digest);
      return [...free, ...gone];
    });
    for (const digest of unlinked)
      await storage.blobs.alone(digest, async () => {
        if (!this.#holders.has(digest)) await storage.blobs.remove(digest);
      });
  }
}

/** What a manifest names with the bytes it says; nothing where it cannot be read. */
async function sizesOf({ blobs }: Storage, digest: Digest): Promise<ReadonlyMap<string, number>> {
  const bytes = await blobs.read(digest);
  try {
    return bytes === undefined ? new Map() : readManifest(bytes, "").sizes;
  } catch {
    return new Map();
  }
}

/** Bytes that count in the repository for some manifests and their blobs, without what those that stay need. */
async function bytesOf(
  { blobs, repositories }: Storage,
  name: string,
  { going, staying }: { readonly going: readonly ManifestNode[]; readonly staying: readonly ManifestNode[] },
): Promise<number> {
  const manifestsOf = (nodes: readonly ManifestNode[]) => new Set(nodes.map(({ digest }) => digest));
  const blobsOf = (nodes: readonly ManifestNode[]) => new Set(nodes.flatMap((node) => node.blobs));
  let sum = 0;
  for (const digest of manifestsOf(going).difference(manifestsOf(staying)))
    sum += (await repositories.manifest(name, digest))?.size ?? 0;
  for (const digest of blobsOf(going).difference(blobsOf(staying)))
    if ((await repositories.blobTouchedAt(name, digest)) !== undefined) sum += (await blobs.info(digest))?.size ?? 0;
  return sum;
}

/** What is tagged, and what nothing names. */
function rootsOf({ manifests, tags }: RepositoryGraph): Set<Digest> {
  const nodes = [...manifests.values()];
  const listed = new Set(nodes.flatMap(({ children }) => children));
  const isLoose = ({ digest, subject }: (typeof nodes)[number]) =>
    !listed.has(digest) && (subject === undefined || !manifests.has(subject));
  const tagged = tags.map(({ digest }) => digest).filter((digest) => manifests.has(digest));
  return new Set([...tagged, ...nodes.filter(isLoose).map(({ digest }) => digest)]);
}
