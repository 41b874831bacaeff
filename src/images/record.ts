import type { Digest } from "../base/digest.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { chainIds } from "../oci/chain.ts";
import type { Descriptor } from "../oci/types.ts";
import { parseManifest } from "../oci/validate.ts";
import type { LayerInput } from "../snapshots/snapshots.ts";
import type { Image, Lease, Recorded, RecordOptions, Target } from "./images.ts";
import { bestImage, type FoundImage, type ReadTarget, readTarget } from "./target.ts";
import { type Workshop, withLease } from "./workshop.ts";

/** As the contract's `record`. */
export async function record(shop: Workshop, options: RecordOptions): Promise<Recorded> {
  return await withLease(shop, async (lease) => {
    const prepared = await prepareRecord(shop, lease, options);
    return shop.catalog.durable(() => enterRecord(shop, prepared, options));
  });
}

/** All of a record that takes time: what `enterRecord` needs is read, unpacked, and held by the lease. */
export async function prepareRecord(
  shop: Workshop,
  lease: Lease,
  { target, unpack = true, signal, onUnpack }: RecordOptions,
): Promise<ReadTarget> {
  const found = await readTarget(shop.content, target, (digests) => lease.hold(digests));
  const shown = found.images.get(found.imageId);
  if (unpack && shown !== undefined) await unpackLayers(shop, lease, [shown], { signal, onUnpack });
  // Whoever stored them may have left that for later.
  await shop.content.sync([...found.documents, ...found.parts.flatMap(({ blobs }) => blobs)]);
  signal?.throwIfAborted();
  return found;
}

/** Inside a transaction. */
export function enterRecord({ catalog }: Workshop, found: ReadTarget, { names, parent }: RecordOptions): Recorded {
  const { images, descriptor, imageId } = found;
  for (const { id, manifest, configBytes } of images.values())
    catalog.addImage({ id, manifest, config: configBytes, parent: id === imageId ? parent : undefined });
  if (images.size === 0)
    catalog.addImage({ id: imageId, kind: "artifact", manifest: descriptor, config: new Uint8Array() });
  const target = catalog.addTarget(merged(found, catalog.target(descriptor.digest)));
  const moved = names.flatMap((name) => {
    const from = catalog.setName(name, target);
    return from === undefined ? [] : [{ name, from }];
  });
  return { target, image: images.size === 0 ? undefined : catalog.image(target.imageId)?.image, moved };
}

/** What another call recorded while this one was looking stays: its blobs are held by the record itself. */
function merged({ images: _, ...found }: ReadTarget, before: Target | undefined): Target {
  const known = new Map(before?.parts.map((part) => [part.descriptor.digest, part]));
  const parts = found.parts.map((part) => {
    const other = known.get(part.descriptor.digest);
    return !part.available && other?.available === true ? other : part;
  });
  return { ...found, parts, imageId: bestImage(parts) ?? found.imageId };
}

export interface UnpackOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onUnpack?: RecordOptions["onUnpack"];
}

/** Post-condition: the layers of all these images are unpacked, each once; the lease holds them. */
export async function unpackLayers(
  shop: Workshop,
  lease: Lease,
  images: readonly Pick<FoundImage, "config" | "layers">[],
  { signal, onUnpack }: UnpackOptions,
): Promise<void> {
  const layers = new Map(images.flatMap((image) => layersOf(shop, image)).map((layer) => [layer.chainId, layer]));
  await lease.hold(layers.keys());
  const missing = [...layers.values()].filter(({ chainId }) => shop.snapshots.layer(chainId) === undefined);
  if (missing.length === 0) return;
  await shop.snapshots.unpack(missing, {
    ...(signal !== undefined && { signal }),
    onProgress: (at, bytes) => onUnpack?.(missing[at] as PlannedLayer, bytes),
  });
  for (const layer of missing) onUnpack?.(layer, layer.size);
}

interface PlannedLayer extends LayerInput {
  readonly chainId: Digest;
  readonly size: number;
}

function layersOf(shop: Workshop, { config, layers }: Pick<FoundImage, "config" | "layers">): PlannedLayer[] {
  const diffIds = config.rootfs.diff_ids;
  const chain = chainIds(diffIds);
  return layers.map(({ digest, size }, at) => ({
    diffId: diffIds[at] as Digest,
    chainId: chain[at] as Digest,
    parent: chain[at - 1],
    source: { path: shop.content.path(digest) },
    size,
  }));
}

/** As the contract's `unpack`. */
export async function unpackImage(shop: Workshop, image: Image, options: UnpackOptions): Promise<void> {
  const chain = shop.catalog.image(image.id)?.chain ?? chainIds(image.config.rootfs.diff_ids);
  if (chain.every((chainId) => shop.snapshots.layer(chainId) !== undefined)) return;
  await withLease(shop, async (lease) => {
    const { manifest, config } = image;
    await lease.hold([manifest.digest, ...chain]);
    const layers = await layersOfManifest(shop, manifest);
    await lease.hold(layers.map(({ digest }) => digest));
    await unpackLayers(shop, lease, [{ config, layers }], options);
  });
}

async function layersOfManifest({ content }: Workshop, { digest }: Descriptor): Promise<readonly Descriptor[]> {
  if (content.info(digest) === undefined) throw new EngineError("not-found", `the image's manifest ${digest} is gone`);
  return parseManifest(await content.read(digest), `manifest ${digest}`).layers;
}

/** As the contract's `repair`. */
export async function repair(shop: Workshop): Promise<void> {
  for (const chainId of shop.snapshots.damaged()) {
    if (shop.snapshots.layer(chainId) !== undefined) continue;
    const record = [...shop.catalog.images()].find(({ chain }) => chain.includes(chainId));
    try {
      if (record !== undefined) await unpackImage(shop, record.image, {});
    } catch (error) {
      shop.logger.log("warn", "a layer could not be made again", { layer: chainId, error: errorMessage(error) });
    }
  }
}
