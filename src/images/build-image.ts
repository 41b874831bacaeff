import { Readable } from "node:stream";
import { decompress } from "../base/decompress.ts";
import { type Digest, digestOf } from "../base/digest.ts";
import { newId } from "../base/ids.ts";
import { timestamp } from "../base/time.ts";
import type { BlobInfo } from "../content/content.ts";
import { unpackBy } from "../kernel/unpack-tools.ts";
import { chainIds } from "../oci/chain.ts";
import { MEDIA } from "../oci/media-types.ts";
import { HOST_PLATFORM } from "../oci/platform.ts";
import { familiarName, parseTagTarget, type Reference } from "../oci/reference.ts";
import type { Descriptor, ImageConfigFile, ImageHistory, ImageRunConfig, Platform } from "../oci/types.ts";
import { parseManifest } from "../oci/validate.ts";
import { applyChanges } from "./changes.ts";
import type { Image, Lease, Progress } from "./images.ts";
import { makeManifest } from "./plan.ts";
import { enterRecord, prepareRecord } from "./record.ts";
import { incoming, publish, type Workshop, withLease } from "./workshop.ts";

export interface ImportOptions {
  readonly repo?: string | undefined;
  readonly tag?: string | undefined;
  readonly message?: string | undefined;
  readonly changes: readonly string[];
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((line: Progress) => void) | undefined;
}

/** Post-condition: the image is there, with its name if one was given; or nothing is. */
export async function importImage(shop: Workshop, from: Readable | URL, options: ImportOptions): Promise<Digest> {
  const reference = targetOf(options);
  const config = applyChanges({}, options.changes);
  const tar = from instanceof URL ? await download(shop, from, options) : from;
  const source = incoming(tar, options.signal);
  const created = timestamp();
  const comment = options.message || `Imported from ${from instanceof URL ? from.href : "-"}`;
  return await build(shop, decompress(source, unpackBy), {
    parent: undefined,
    reference,
    signal: options.signal,
    action: "import",
    file: { ...(options.platform ?? HOST_PLATFORM), created, comment, config },
    step: { created, comment },
  });
}

/** Tells how much has come, at most ten times a second. */
async function download(shop: Workshop, url: URL, { signal, onProgress = () => {} }: ImportOptions): Promise<Readable> {
  onProgress({ status: `Downloading from ${url.href}` });
  const { body, size } = await shop.remote.download(url, signal);
  return Readable.from(counted(body, size, onProgress), { objectMode: false });
}

async function* counted(body: Readable, total: number | undefined, onProgress: (line: Progress) => void) {
  let [current, told] = [0, 0];
  const tell = () => onProgress({ status: "Importing", progressDetail: { current, total } });
  for await (const chunk of body as AsyncIterable<Buffer>) {
    yield chunk;
    current += chunk.length;
    if (Date.now() - told < 100) continue;
    told = Date.now();
    tell();
  }
  tell();
}

export interface CommitOptions {
  readonly parent: Image | undefined;
  readonly diff: Readable;
  readonly config: ImageRunConfig;
  readonly createdBy: string;
  readonly repo?: string | undefined;
  readonly tag?: string | undefined;
  readonly author?: string | undefined;
  readonly message?: string | undefined;
  readonly containerId: string;
}

/** A container without changes gives an image with the parent's layers. */
export async function commit(shop: Workshop, options: CommitOptions): Promise<Digest> {
  try {
    return await buildCommit(shop, options);
  } catch (error) {
    options.diff.destroy();
    throw error;
  }
}

async function buildCommit(shop: Workshop, options: CommitOptions): Promise<Digest> {
  const { parent, author, message } = options;
  const created = timestamp();
  const { os, architecture, variant } = parent?.config ?? HOST_PLATFORM;
  return await build(shop, incoming(options.diff, undefined), {
    parent,
    reference: targetOf(options),
    signal: undefined,
    action: undefined,
    file: {
      os,
      architecture,
      ...(variant !== undefined && { variant }),
      created,
      ...(author && { author }),
      ...(message && { comment: message }),
      config: options.config,
    },
    step: {
      created,
      created_by: options.createdBy,
      ...(author && { author }),
      ...(message && { comment: message }),
    },
  });
}

function targetOf({ repo, tag }: { readonly repo?: string | undefined; readonly tag?: string | undefined }) {
  return repo === undefined || repo === "" ? undefined : parseTagTarget(repo, tag ?? "");
}

interface Plan {
  readonly parent: Image | undefined;
  readonly reference: Reference | undefined;
  readonly signal: AbortSignal | undefined;
  readonly action: "import" | undefined;
  readonly file: Omit<ImageConfigFile, "rootfs" | "history">;
  readonly step: ImageHistory;
}

async function build(shop: Workshop, diff: AsyncIterable<Buffer>, plan: Plan): Promise<Digest> {
  return await withLease(shop, async (lease) => {
    const below = await parentLayers(shop, lease, plan.parent);
    const blob = await spoolLayer(shop, lease, diff);
    const isEmpty = plan.parent !== undefined && blob.digest === EMPTY_LAYER;
    const layer = { mediaType: MEDIA.ociLayer, digest: blob.digest, size: blob.size };
    const layers = isEmpty ? below : [...below, layer];
    const diffIds = [...(plan.parent?.config.rootfs.diff_ids ?? []), ...(isEmpty ? [] : [blob.digest])];
    if (!isEmpty) await unpackTop(shop, lease, diffIds, plan.signal);
    const config = configBytes(plan, diffIds, isEmpty);
    return await register(shop, lease, plan, { config, layers });
  });
}

/** A tar without entries. */
const EMPTY_LAYER = digestOf(Buffer.alloc(1024));

async function parentLayers(shop: Workshop, lease: Lease, parent: Image | undefined): Promise<readonly Descriptor[]> {
  if (parent === undefined) return [];
  await lease.hold([parent.manifest.digest, parent.id, ...chainIds(parent.config.rootfs.diff_ids)]);
  const { layers } = parseManifest(await shop.content.read(parent.manifest.digest));
  await lease.hold(layers.map(({ digest }) => digest));
  return layers;
}

async function spoolLayer(shop: Workshop, lease: Lease, diff: AsyncIterable<Buffer>): Promise<BlobInfo> {
  const ingest = await shop.content.ingest(`layer-${newId()}`);
  try {
    for await (const chunk of diff) await ingest.write(chunk);
    return await lease.store(() => ingest.commit());
  } catch (error) {
    await ingest.abort();
    throw error;
  }
}

async function unpackTop(
  shop: Workshop,
  lease: Lease,
  diffIds: readonly Digest[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const chain = chainIds(diffIds);
  await lease.hold(chain);
  const diffId = diffIds.at(-1) as Digest;
  const layer = { diffId, parent: chain.at(-2), source: { path: shop.content.path(diffId) } };
  await shop.snapshots.unpack([layer], signal === undefined ? {} : { signal });
}

function configBytes({ file, parent, step }: Plan, diffIds: readonly Digest[], isEmpty: boolean): Buffer {
  const { architecture, variant, os, ...rest } = file;
  const history = [...(parent?.config.history ?? []), isEmpty ? { ...step, empty_layer: true } : step];
  return Buffer.from(
    JSON.stringify({ architecture, variant, os, ...rest, rootfs: { type: "layers", diff_ids: diffIds }, history }),
  );
}

async function register(
  shop: Workshop,
  lease: Lease,
  { parent, reference, action }: Plan,
  { config, layers }: { readonly config: Buffer; readonly layers: readonly Descriptor[] },
): Promise<Digest> {
  const { digest: id, size } = await lease.store(() => shop.content.put(config));
  const { manifest, manifestBytes } = makeManifest({ digest: id, size }, layers);
  await lease.store(() => shop.content.put(manifestBytes));
  const options = { target: manifest, names: reference === undefined ? [] : [reference], parent: parent?.id };
  const prepared = await prepareRecord(shop, lease, options);
  shop.catalog.durable(() => enterRecord(shop, prepared, options));
  if (action !== undefined) publish(shop, action, id, id);
  if (reference !== undefined) publish(shop, "tag", id, familiarName(reference));
  return id;
}
