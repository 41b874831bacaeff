/** What a repository does with manifests: find, accept, let go. Changes of one repository follow each other. */
import type { Digest } from "../base/digest.ts";
import { isDigest } from "../base/digest.ts";
import type { Descriptor } from "../oci/types.ts";
import { RegistryError } from "./errors.ts";
import type { Loan } from "./lend.ts";
import type { ManifestFacts } from "./manifest.ts";
import type { Reference } from "./names.ts";
import type { Storage } from "./storage/open.ts";
import type { ManifestRecord } from "./storage/repositories.ts";

export interface FoundManifest extends ManifestRecord {
  readonly digest: Digest;
}

/** Undefined when the repository does not have it. */
export async function findManifest(
  { repositories }: Storage,
  name: string,
  reference: Reference,
): Promise<FoundManifest | undefined> {
  const digest = reference.kind === "digest" ? reference.digest : (await repositories.tag(name, reference.tag))?.digest;
  const record = digest === undefined ? undefined : await repositories.manifest(name, digest);
  return digest === undefined || record === undefined ? undefined : { ...record, digest };
}

export interface Push {
  readonly bytes: Buffer;
  /** Of these bytes. */
  readonly digest: Digest;
  readonly facts: ManifestFacts;
  readonly tags: readonly string[];
  /** Whether the first tag's manifest, or this one, may be replaced. */
  readonly precondition?: ((current: Digest | undefined) => boolean) | undefined;
  /** Where blobs may come from that the repository lacks. */
  readonly loan?: Loan | undefined;
}

/**
 * Post-condition: the repository has the manifest under its digest and tags, its subject lists it, and all of it with its blobs is on the disk. Throws MANIFEST_BLOB_UNKNOWN, with
 * one detail per digest, when the repository lacks what the manifest needs; a subject may come later.
 */
export async function pushManifest(storage: Storage, name: string, push: Push): Promise<void> {
  const { blobs, repositories } = storage;
  const { facts } = push;
  for (const wanted of new Set(facts.blobs))
    if (push.loan !== undefined && isDigest(wanted) && !(await repositories.hasBlob(name, wanted)))
      await push.loan.take(name, wanted);
  await blobs.syncer.settled([...facts.blobs, ...facts.foreign].filter(isDigest));
  await repositories.alone(name, async () => {
    await checkPrecondition(storage, name, push);
    await checkReferences(storage, name, facts);
    await keep(storage, name, push);
  });
}

/** The same for a manifest whose blobs may come later: a cache's. */
export function keepManifest(storage: Storage, name: string, manifest: Kept): Promise<ManifestRecord> {
  return storage.repositories.alone(name, () => keep(storage, name, manifest));
}

type Kept = Pick<Push, "bytes" | "digest" | "facts" | "tags">;

async function keep({ blobs, repositories }: Storage, name: string, manifest: Kept): Promise<ManifestRecord> {
  const { bytes, digest, facts, tags } = manifest;
  const { mediaType, subject } = facts;
  const pushed = new Date().toISOString();
  const record = { mediaType, size: bytes.length, pushed, subject };
  // A collection that began before sees by this that they are wanted again.
  for (const wanted of [...facts.blobs, ...facts.foreign].filter(isDigest)) await repositories.touchBlob(name, wanted);
  await blobs.alone(digest, async () => {
    await blobs.put(bytes, digest);
    if (subject !== undefined) await repositories.addReferrer(name, subject, descriptorOf(manifest));
    await repositories.linkManifest(name, digest, record);
  });
  for (const tag of tags) await repositories.setTag(name, tag, { digest, pushed });
  return record;
}

/** True when there was such a tag. */
export function deleteTag({ repositories }: Storage, name: string, tag: string): Promise<boolean> {
  return repositories.alone(name, () => repositories.removeTag(name, tag));
}

/** True when there was such a manifest. */
export async function deleteManifest(storage: Storage, name: string, digest: Digest): Promise<boolean> {
  const { repositories } = storage;
  return await repositories.alone(name, async () => {
    if ((await repositories.manifest(name, digest)) === undefined) return false;
    for (const tag of await repositories.tags(name))
      if ((await repositories.tag(name, tag))?.digest === digest) await repositories.removeTag(name, tag);
    await dropManifest(storage, name, digest);
    return true;
  });
}

/** Takes a manifest that no tag names any more. For who has the repository alone. */
export async function dropManifest({ repositories }: Storage, name: string, digest: Digest): Promise<void> {
  const record = await repositories.manifest(name, digest);
  await repositories.unlinkManifest(name, digest);
  if (record?.subject !== undefined) await repositories.removeReferrer(name, record.subject, digest);
}

async function checkPrecondition({ repositories }: Storage, name: string, push: Push): Promise<void> {
  if (push.precondition === undefined) return;
  const [tag] = push.tags;
  const stored = (await repositories.manifest(name, push.digest)) === undefined ? undefined : push.digest;
  const current = tag === undefined ? stored : (await repositories.tag(name, tag))?.digest;
  if (!push.precondition(current))
    throw new RegistryError("DENIED", "the manifest is not the one that was expected", { status: 412 });
}

async function checkReferences({ repositories }: Storage, name: string, facts: ManifestFacts): Promise<void> {
  const missing: string[] = [];
  for (const digest of new Set(facts.blobs))
    if (!isDigest(digest) || !(await repositories.hasBlob(name, digest))) missing.push(digest);
  for (const digest of new Set(facts.manifests))
    if (!isDigest(digest) || (await repositories.manifest(name, digest)) === undefined) missing.push(digest);
  if (missing.length === 0) return;
  throw new RegistryError("MANIFEST_BLOB_UNKNOWN", `unknown to the repository: ${missing.slice(0, 5).join(", ")}`, {
    detail: missing.map((digest) => ({ digest })),
    hint: "push what the manifest refers to first",
  });
}

function descriptorOf({ bytes, digest, facts }: Kept): Descriptor {
  const { mediaType, artifactType, annotations } = facts;
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  };
}
