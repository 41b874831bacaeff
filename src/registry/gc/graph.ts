/** A repository's manifests as a graph: who names whom. */
import type { Digest } from "../../base/digest.ts";
import { isDigest } from "../../base/digest.ts";
import { readManifest } from "../manifest.ts";
import type { Storage } from "../storage/open.ts";

export interface ManifestNode {
  readonly digest: Digest;
  /** Milliseconds since the epoch. */
  readonly pushedAt: number;
  /** Last pushed or pulled. */
  readonly usedAt: number;
  /** Blobs it needs, those kept elsewhere too. */
  readonly blobs: readonly Digest[];
  /** Manifests it lists. */
  readonly children: readonly Digest[];
  readonly subject: string | undefined;
}

export interface TagNode {
  readonly tag: string;
  readonly digest: Digest;
  readonly pushedAt: number;
  /** Of its manifest. */
  readonly usedAt: number;
}

export interface RepositoryGraph {
  readonly manifests: ReadonlyMap<Digest, ManifestNode>;
  readonly tags: readonly TagNode[];
}

/** Throws when a manifest cannot be read: then nothing is known of what it needs. */
export async function readGraph(storage: Storage, name: string): Promise<RepositoryGraph> {
  const { repositories } = storage;
  const manifests = new Map<Digest, ManifestNode>();
  for (const digest of await repositories.manifests(name)) {
    const node = await readNode(storage, name, digest);
    if (node !== undefined) manifests.set(digest, node);
  }
  const tags: TagNode[] = [];
  for (const tag of await repositories.tags(name)) {
    const record = await repositories.tag(name, tag);
    if (record === undefined) continue;
    const { digest, pushed } = record;
    tags.push({ tag, digest, pushedAt: Date.parse(pushed), usedAt: manifests.get(digest)?.usedAt ?? 0 });
  }
  return { manifests, tags };
}

/** Undefined when it was removed meanwhile. */
async function readNode(storage: Storage, name: string, digest: Digest): Promise<ManifestNode | undefined> {
  const record = await storage.repositories.manifest(name, digest);
  if (record === undefined) return undefined;
  const bytes = await storage.blobs.read(digest);
  if (bytes === undefined) throw new Error(`the manifest ${digest} of ${name} has lost its content`);
  const { blobs, foreign, manifests, subject } = readManifest(bytes, record.mediaType);
  return {
    digest,
    pushedAt: Date.parse(record.pushed),
    usedAt: (await storage.repositories.manifestUsedAt(name, digest)) ?? 0,
    blobs: [...blobs, ...foreign].filter(isDigest),
    children: manifests.filter(isDigest),
    subject,
  };
}

/** Some manifests with all they list and all that refers to any of these. Whoever names comes before what it names. */
export function closureOf({ manifests }: RepositoryGraph, roots: Iterable<Digest>): Set<Digest> {
  const referrers = Map.groupBy(manifests.values(), ({ subject }) => subject);
  const found = new Set<Digest>();
  const waiting = [...roots];
  for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
    const node = manifests.get(digest);
    if (node === undefined || found.has(digest)) continue;
    found.add(digest);
    waiting.push(...node.children, ...(referrers.get(digest) ?? []).map((referrer) => referrer.digest));
  }
  return found;
}
