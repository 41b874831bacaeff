/**
 * Room in a cache whose quota is used up: what nobody pulled for longest goes, whole images at a time. It comes back by the next pull, so
 * that a client which is in the midst of one notices nothing.
 */
import type { Digest } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { closureOf, type ManifestNode, type RepositoryGraph, readGraph } from "../gc/graph.ts";
import { dropManifest } from "../manifests.ts";
import type { Quotas, Shortage } from "../quotas.ts";
import type { Storage } from "../storage/open.ts";

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
}

/** A manifest that no index lists, with what only it names. */
interface Victim {
  readonly name: string;
  readonly root: Digest;
  /** Milliseconds since the epoch: the latest of all that it names. */
  readonly usedAt: number;
}

/**
 * Post-condition: the quotas have room, or every copy that could help but the wanted one's image is gone, or nothing is: all of them were not
 * enough. Costs nothing where there is room.
 */
export async function makeRoom(parts: RoomParts, wanted: Wanted): Promise<void> {
  const { quotas, logger } = parts;
  const shortages = () => quotas.shortages(wanted.name, wanted.size);
  let short = shortages();
  if (short.length === 0) return;
  const isCounted = (name: string) => short.some((one) => one.isCounted(name));
  const { victims, held } = await victimsOf(parts, isCounted, wanted);
  short = shortages();
  if (short.some((one) => one.used + wanted.size - one.quota > mayCome(parts, one, { wanted, held }))) return;
  for (const victim of victims) {
    if (!isCounted(victim.name)) continue;
    await evict(parts, victim);
    logger.log("info", "an image made room in the cache", { repository: victim.name, manifest: victim.root });
    short = shortages();
    if (short.length === 0) return;
  }
}

/** At most so many of a quota's used bytes can be given back; what is arriving for other copies goes, too, once it is there. */
function mayCome(
  { storage, isCopy }: RoomParts,
  { isCounted }: Shortage,
  { wanted, held }: { readonly wanted: Wanted; readonly held: ReadonlyMap<string, number> },
): number {
  let sum = storage.uploads.pending((name) => name !== wanted.name && isCounted(name) && isCopy(name));
  for (const [name, bytes] of held) if (isCounted(name)) sum += bytes;
  return sum;
}

interface Victims {
  /** The longest unused first. */
  readonly victims: readonly Victim[];
  /** Bytes that all victims of a repository give back together. */
  readonly held: ReadonlyMap<string, number>;
}

async function victimsOf(
  { storage, logger, isCopy }: RoomParts,
  isCounted: (name: string) => boolean,
  wanted: Wanted,
): Promise<Victims> {
  const victims: Victim[] = [];
  const held = new Map<string, number>();
  for (const name of (await storage.repositories.names()).filter((one) => isCounted(one) && isCopy(one))) {
    try {
      const graph = await readGraph(storage, name);
      const kept: ManifestNode[] = [];
      const going: ManifestNode[] = [];
      for (const root of rootsOf(graph)) {
        const nodes = [...closureOf(graph, [root])].flatMap((digest) => graph.manifests.get(digest) ?? []);
        const has = ({ digest, blobs }: ManifestNode) => digest === wanted.digest || blobs.includes(wanted.digest);
        const stays = name === wanted.name && nodes.some(has);
        (stays ? kept : going).push(...nodes);
        if (!stays) victims.push({ name, root, usedAt: Math.max(...nodes.map(({ usedAt }) => usedAt)) });
      }
      held.set(name, await bytesOf(storage, name, { going, kept }));
    } catch (error) {
      logger.log("error", "a repository was left as it is", { repository: name, error: errorMessage(error) });
    }
  }
  return { victims: victims.sort((a, b) => a.usedAt - b.usedAt), held };
}

/** Bytes that count in the repository for some manifests and their blobs, without what those that are kept need. */
async function bytesOf(
  { blobs, repositories }: Storage,
  name: string,
  { going, kept }: { readonly going: readonly ManifestNode[]; readonly kept: readonly ManifestNode[] },
): Promise<number> {
  const manifestsOf = (nodes: readonly ManifestNode[]) => new Set(nodes.map(({ digest }) => digest));
  const blobsOf = (nodes: readonly ManifestNode[]) => new Set(nodes.flatMap((node) => node.blobs));
  let sum = 0;
  for (const digest of manifestsOf(going).difference(manifestsOf(kept)))
    sum += (await repositories.manifest(name, digest))?.size ?? 0;
  for (const digest of blobsOf(going).difference(blobsOf(kept)))
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

/** Post-condition: the repository has neither the image nor what only it needed; blobs that no other repository has are gone. */
async function evict({ storage }: RoomParts, { name, root }: Victim): Promise<void> {
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
  for (const digest of unlinked) await removeUnlinked(storage, digest);
}

async function removeUnlinked({ blobs, repositories }: Storage, digest: Digest): Promise<void> {
  await blobs.alone(digest, async () => {
    for (const name of await repositories.names())
      if ((await repositories.blobTouchedAt(name, digest)) !== undefined || (await repositories.manifest(name, digest)))
        return;
    await blobs.remove(digest);
  });
}
