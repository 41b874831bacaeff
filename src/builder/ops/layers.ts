import { rmSync } from "node:fs";
import { chainIdOf } from "../../base/chain-id.ts";
import type { Digest } from "../../base/digest.ts";
import { newId } from "../../base/ids.ts";
import { nanosecondsOf, timestamp, timestampOf } from "../../base/time.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { SealedLayer } from "../../snapshots/snapshots.ts";
import type { Toolkit } from "../toolkit.ts";
import type { LayeredTree, LayerRef, Made } from "../tree.ts";

/** A writable tree that becomes a layer, or goes away with its tar. */
export interface Draft {
  /** 64 hex digits, like a container's; what a killed engine leaves under such a name the next one takes away. */
  readonly id: string;
  /** A file that may be made: the layer's tar. */
  readonly tar: string;
}

export interface LayerTimes {
  /** Nanoseconds since the epoch: no time in the layer, and none in history, is later. */
  readonly latest: bigint | undefined;
}

/** Post-condition: the tree's layers are unpacked. */
export async function ensureUnpacked(
  { snapshots, content }: Toolkit,
  { layers, chainId }: LayeredTree,
  signal: AbortSignal,
): Promise<void> {
  if (chainId === undefined || snapshots.layer(chainId) !== undefined) return;
  let parent: Digest | undefined;
  const inputs = layers.map(({ diffId, blob }) => {
    const input = { diffId, parent, source: { path: content.path(blob.digest) }, digest: blob.digest };
    parent = chainIdOf(parent, diffId);
    return input;
  });
  await snapshots.unpack(inputs, { signal });
}

/** Gives `work` a writable tree on `below`. It is gone afterwards, unless `work` made a layer of it or asks by `keep`. */
export async function withDraft<T>(
  tools: Toolkit,
  below: Digest | undefined,
  work: (draft: Draft) => Promise<T>,
  keep: () => boolean = () => false,
): Promise<T> {
  const { snapshots, content } = tools;
  const id = newId();
  const draft = { id, tar: content.spare(`build-${id}`) };
  await snapshots.prepare(id, below);
  try {
    return await work(draft);
  } finally {
    rmSync(draft.tar, { force: true });
    if (!keep()) await snapshots.remove(id);
  }
}

/** What is kept of a sealed draft; undefined: nothing changed. Its blob lies in content, pinned with the layer until there is a row of it. */
export async function storeLayer(
  { content, steps }: Toolkit,
  { tar }: Draft,
  parent: Digest | undefined,
  sealed: SealedLayer | undefined,
  { latest }: LayerTimes,
): Promise<Made> {
  const createdAt = timeOf(latest);
  if (sealed === undefined) return { createdAt, parent, chainId: parent, size: 0 };
  const { diffId, chainId, size, tarSize } = sealed;
  steps.pin([chainId, diffId]);
  await content.adopt(tar, { digest: diffId, size: tarSize }, false);
  const layer: LayerRef = { diffId, blob: { mediaType: MEDIA.ociLayer, digest: diffId, size: tarSize } };
  return Object.freeze({ createdAt, layer, parent, chainId, size });
}

/** RFC 3339; the time that history gives: later each time, unless it is given. */
export function timeOf(latest: bigint | undefined): string {
  if (latest !== undefined) return timestampOf(latest);
  const now = nanosecondsOf(timestamp());
  last = now > last ? now : last + 1n;
  return timestampOf(last);
}

let last = 0n;
