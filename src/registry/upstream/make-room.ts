/**
 * Room in a cache whose quota is used up: what nobody pulled for longest goes, whole images at a time. It comes back by the next pull, so
 * that a client which is in the midst of one notices nothing.
 */
import type { Digest } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { closureOf, type RepositoryGraph, readGraph } from "../gc/graph.ts";
import { dropManifest } from "../manifests.ts";
import type { Quotas } from "../quotas.ts";
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

/** Post-condition: the quotas have room, or every copy but the wanted one's image is gone. Costs nothing where there is room. */
export async function makeRoom(parts: RoomParts, wanted: Wanted): Promise<void> {
  const { quotas, logger } = parts;
  let short = quotas.shortage(wanted.name, wanted.size);
  if (short === undefined) return;
  for (const victim of await victimsOf(parts, short.isCounted, wanted)) {
    await evict(parts, victim);
    logger.log("info", "an image made room in the cache", { repository: victim.name, manifest: victim.root });
    short = quotas.shortage(wanted.name, wanted.size);
    if (short === undefined) return;
  }
}

/** The longest unused first. */
async function victimsOf(
  { storage, logger, isCopy }: RoomParts,
  isCounted: (name: string) => boolean,
  wanted: Wanted,
): Promise<Victim[]> {
  const victims: Victim[] = [];
  for (const name of (await storage.repositories.names()).filter((one) => isCounted(one) && isCopy(one))) {
    try {
      const graph = await readGraph(storage, name);
      for (const root of rootsOf(graph)) {
        const nodes = [...closureOf(graph, [root])].flatMap((digest) => graph.manifests.get(digest) ?? []);
        const has = ({ digest, blobs }: (typeof nodes)[number]) =>
          digest === wanted.digest || blobs.includes(wanted.digest);
        if (name === wanted.name && nodes.some(has)) continue;
        victims.push({ name, root, usedAt: Math.max(...nodes.map(({ usedAt }) => usedAt)) });
      }
    } catch (error) {
      logger.log("error", "a repository was left as it is", { repository: name, error: errorMessage(error) });
    }
  }
  return victims.sort((a, b) => a.usedAt - b.usedAt);
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
