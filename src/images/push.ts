import type { Digest } from "../base/digest.ts";
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { isForeignLayerType } from "../oci/media-types.ts";
import {
  familiarName,
  familiarRepository,
  normalisedName,
  parseReference,
  type Reference,
  repositoryOf,
} from "../oci/reference.ts";
import type { Descriptor, Platform } from "../oci/types.ts";
import type { Credentials, RemoteManifest, Repository } from "../remote/remote.ts";
import type { Lease, Progress, Target } from "./images.ts";
import { compressLayers, hasPlainLayers } from "./push-compress.ts";
import { type PushPlan, planManifest, planPush } from "./push-plan.ts";
import { insteadNote, PushLines } from "./push-words.ts";
import { enterRecord, prepareRecord } from "./record.ts";
import { publish, type Workshop, withLease } from "./workshop.ts";

export interface PushOptions {
  /** Only this one, of an image with several. */
  readonly platform?: Platform | undefined;
  /** The name may have a digest in place of a tag: then the registry has the image by its digest alone. */
  readonly byDigest?: boolean | undefined;
  readonly credentials?: Credentials | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (line: Progress) => void;
}

/** Post-condition: the registry has the image under its tag, or with a name without one, every tag of the repository that is here. */
export async function push(shop: Workshop, name: string, options: PushOptions): Promise<void> {
  const reference = parseReference(name);
  if (reference.digest !== undefined && options.byDigest !== true)
    throw new EngineError("invalid", "cannot push a digest reference");
  const tagged = tagsToPush(shop, reference);
  const repository = shop.remote.repository(reference, { credentials: options.credentials, access: "push" });
  options.onProgress({ status: `The push refers to repository [${repositoryOf(reference)}]` });
  try {
    for (const one of tagged)
      await withLease(shop, (lease) => pushOne({ shop, lease, repository, reference: one, options }));
  } catch (error) {
    throw explainPush(error, reference);
  }
}

function tagsToPush({ catalog }: Workshop, reference: Reference): Reference[] {
  if (reference.digest !== undefined) return [reference];
  const all = catalog.tagsOf(repositoryOf(reference)).map((name) => name.reference);
  if (all.length === 0)
    throw new EngineError(
      "not-found",
      `An image does not exist locally with the tag: ${familiarRepository(reference)}`,
    );
  if (reference.tag === undefined) return all;
  if (all.some(({ tag }) => tag === reference.tag)) return [reference];
  throw new EngineError("not-found", `tag does not exist: ${familiarName(reference)}`);
}

interface Pushing {
  readonly shop: Workshop;
  readonly lease: Lease;
  readonly repository: Repository;
  readonly reference: Reference;
  readonly options: PushOptions;
}

async function pushOne(pushing: Pushing): Promise<void> {
  const { shop, lease, repository, reference, options } = pushing;
  const target = targetOf(shop, reference);
  await lease.hold([...target.documents, ...target.parts.flatMap(({ blobs }) => blobs)]);
  const wish = { reference, target, platform: options.platform, signal: options.signal };
  const plan = await packed(pushing, target, await planPush(shop.content, repository, wish));
  await sendBlobs(pushing, plan.blobs);
  const top = await sendManifests(pushing, plan.manifests);
  await recordPushed(pushing, target, top.descriptor);
  publish(shop, "push", familiarName(reference) as Digest, familiarRepository(reference));
  const { digest, size } = top.descriptor;
  options.onProgress({ status: `${reference.tag ?? digest}: digest: ${digest} size: ${size}` });
  options.onProgress({ progressDetail: {}, aux: { Tag: reference.tag, Digest: digest, Size: size } });
  if (plan.insteadOf !== undefined) options.onProgress(insteadNote(plan.insteadOf, top.descriptor));
}

function targetOf({ catalog }: Workshop, reference: Reference): Target {
  const target = catalog.target(catalog.name(normalisedName(reference))?.target.digest ?? "");
  if (target === undefined) throw new EngineError("not-found", `tag does not exist: ${familiarName(reference)}`);
  return target;
}

/** What came from elsewhere keeps its bytes; what was made here is compressed. */
async function packed({ shop, lease, options }: Pushing, target: Target, plan: PushPlan): Promise<PushPlan> {
  const [manifest] = plan.manifests;
  if (plan.manifests.length !== 1 || manifest === undefined || !hasPlainLayers(plan.blobs)) return plan;
  const { descriptor } = target;
  const isKnownElsewhere = shop.catalog
    .namesOf(target.imageId)
    .some(({ reference, target: { digest } }) => reference.digest !== undefined && digest === descriptor.digest);
  if (isKnownElsewhere || target.documents.length > 0) return plan;
  const lines = new PushLines(options.onProgress);
  const made = await compressLayers(shop.content, lease, manifest, {
    signal: options.signal,
    onLayer: (layer, bytes) => lines.compressing(layer, bytes),
  });
  const fresh = await planManifest(shop.content, made);
  return { ...fresh, insteadOf: plan.insteadOf };
}

async function sendBlobs({ shop, repository, options }: Pushing, blobs: readonly Descriptor[]): Promise<void> {
  const { signal, onProgress } = options;
  const lines = new PushLines(onProgress);
  const sent = blobs.filter(({ mediaType }) => !isForeignLayerType(mediaType));
  for (const blob of sent) lines.preparing(blob);
  const stop = new AbortController();
  const ended = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const sends = sent.map((blob) =>
    shop.uploads.run(async () => {
      const open = (start: number, end: number) => shop.content.stream(blob.digest, { start, end });
      const mountFrom = whereElse(shop, repository.reference, blob.digest);
      const onBytes = (bytes: number) => lines.pushing(blob, bytes);
      const how = await repository.send({ ...blob, open }, { mountFrom, signal: ended, onProgress: onBytes });
      lines.done(blob, how);
    }, ended),
  );
  await allOrFirstError(sends, stop);
}

/** Waits for all; at the first failure the others are stopped, and that failure is thrown when they have ended. */
async function allOrFirstError(tasks: readonly Promise<void>[], stop: AbortController): Promise<void> {
  let first: unknown;
  const noted = tasks.map((task) =>
    task.catch((error: unknown) => {
      first ??= error;
      stop.abort();
    }),
  );
  await Promise.all(noted);
  if (first !== undefined) throw first;
}

/** Repositories of the same registry that had the blob: names by digest are only given to what came from or went to a registry. */
function whereElse({ catalog }: Workshop, { domain, path }: Reference, digest: Digest): string[] {
  const paths = [...catalog.names()]
    .filter(({ reference }) => reference.digest !== undefined && reference.domain === domain && reference.path !== path)
    .filter(({ target }) => catalog.target(target.digest)?.blobs.includes(digest) === true)
    .map(({ reference }) => reference.path);
  return [...new Set(paths)].slice(0, 3);
}

async function sendManifests(
  { repository, reference, options }: Pushing,
  manifests: readonly RemoteManifest[],
): Promise<RemoteManifest> {
  const top = manifests.at(-1) as RemoteManifest;
  for (const manifest of manifests.slice(0, -1))
    await repository.putManifest({ digest: manifest.descriptor.digest }, manifest, options.signal);
  const { tag } = reference;
  await repository.putManifest(tag === undefined ? { digest: top.descriptor.digest } : { tag }, top, options.signal);
  return top;
}

/** The digest becomes a name; where the manifest is another one now, the tags go over to it. */
async function recordPushed({ shop, lease, reference }: Pushing, target: Target, pushed: Descriptor): Promise<void> {
  const { domain, path } = reference;
  const byDigest = { domain, path, digest: pushed.digest };
  const isRepacked = pushed.digest !== target.descriptor.digest && target.documents.length === 0;
  const tags = isRepacked ? tagsPointingTo(shop, target) : [];
  const recording = { target: pushed, names: [byDigest, ...tags], unpack: false };
  const prepared = await prepareRecord(shop, lease, recording);
  shop.catalog.durable(() => {
    enterRecord(shop, prepared, recording);
    if (isRepacked && !shop.catalog.isNamed(target)) shop.catalog.deleteTarget(target.descriptor.digest);
  });
}

function tagsPointingTo({ catalog }: Workshop, { imageId, descriptor }: Target): Reference[] {
  return catalog
    .namesOf(imageId)
    .filter(({ target }) => target.digest === descriptor.digest)
    .map(({ reference }) => reference);
}

function explainPush(error: unknown, reference: Reference): unknown {
  const text = errorMessage(error);
  if (errorKind(error) === "forbidden" && /^denied/.test(text))
    return new EngineError(
      "forbidden",
      `push access denied to ${familiarRepository(reference)}, repository does not exist or may require authorization: ${text}`,
      { cause: error },
    );
  return error;
}
