/** Brings the blobs of a chosen image into content and its layers into snapshots, both at the same time. */
import type { Digest } from "../base/digest.ts";
import { errorKind } from "../base/errors.ts";
import { chainIds } from "../oci/chain.ts";
import type { Descriptor } from "../oci/types.ts";
import type { Repository } from "../remote/remote.ts";
import type { LayerInput } from "../snapshots/snapshots.ts";
import type { Lease } from "./images.ts";
import type { PullOptions } from "./pull.ts";
import type { Joined } from "./pull-downloads.ts";
import { LayerLines } from "./pull-lines.ts";
import type { ChosenImage } from "./pull-plan.ts";
import type { Workshop } from "./workshop.ts";

export interface Fetching {
  readonly shop: Workshop;
  readonly lease: Lease;
  readonly repository: Repository;
  readonly chosen: ChosenImage;
  readonly options: PullOptions;
}

interface PulledLayer {
  readonly blob: Descriptor;
  readonly diffId: Digest;
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
  readonly lines: LayerLines;
}

/** Post-condition: everything that the image needs is stored, unpacked, and held by the lease. */
export async function fetchImage(fetching: Fetching): Promise<void> {
  const { shop, lease, chosen } = fetching;
  const documents = [...chosen.indexes, chosen.manifest, chosen.config];
  for (const { bytes } of documents) await lease.store(() => shop.content.put(bytes, { sync: false }));
  const layers = layersOf(fetching);
  await lease.hold(layers.flatMap(({ blob, chainId }) => [blob.digest, chainId]));
  announce(shop, layers);
  try {
    await bring(fetching, layers);
  } catch (error) {
    // What another pull's credentials could not have, or an earlier attempt's remains spoilt, is tried once by itself.
    if (!(error instanceof TryAgain)) throw error;
    await bring(fetching, layers);
  }
  for (const { lines } of layers) lines.complete();
}

class TryAgain extends Error {}

function layersOf({ chosen, options }: Fetching): PulledLayer[] {
  const diffIds = chosen.config.file.rootfs.diff_ids;
  const chain = chainIds(diffIds);
  return chosen.layers.map((blob, at) => ({
    blob,
    diffId: diffIds[at] as Digest,
    chainId: chain[at] as Digest,
    parent: chain[at - 1],
    lines: new LayerLines(blob, options.onProgress),
  }));
}

function announce({ content, snapshots }: Workshop, layers: readonly PulledLayer[]): void {
  for (const { blob, chainId, lines } of layers) {
    const isHere = content.info(blob.digest) !== undefined && snapshots.layer(chainId) !== undefined;
    if (isHere) lines.exists();
    else lines.announce();
  }
}

/** Downloads what is missing and unpacks it meanwhile. When it rejects, nothing of it is under way any more. */
async function bring(fetching: Fetching, layers: readonly PulledLayer[]): Promise<void> {
  const { shop, options } = fetching;
  const joined = joinDownloads(fetching, layers);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const leave = () => {
    for (const download of joined.values()) download.leave();
  };
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    const downloads = [...joined].map(([digest, download]) => downloaded(download, layers, digest));
    const missing = layers.filter(({ chainId }) => shop.snapshots.layer(chainId) === undefined);
    const unpacking = shop.snapshots.unpack(
      missing.map((layer) => inputOf(shop, layer, joined)),
      { signal, onProgress: (at, bytes) => missing[at]?.lines.extracting(bytes) },
    );
    await firstErrorOf([...downloads, unpacking], () => stop.abort());
  } finally {
    signal.removeEventListener("abort", leave);
    leave();
  }
}

function joinDownloads({ shop, repository }: Fetching, layers: readonly PulledLayer[]): Map<Digest, Joined> {
  const joined = new Map<Digest, Joined>();
  for (const { blob, lines } of layers) {
    if (joined.has(blob.digest) || shop.content.info(blob.digest) !== undefined) continue;
    const listener = {
      onBytes: (bytes: number) => lines.downloading(bytes),
      onRetry: (delay: number) => lines.retrying(delay),
    };
    joined.set(blob.digest, shop.downloads.join(blob, repository, listener));
  }
  return joined;
}

async function downloaded(download: Joined, layers: readonly PulledLayer[], digest: Digest): Promise<void> {
  try {
    await download.done;
  } catch (error) {
    const kind = errorKind(error);
    if (kind === "conflict" || (download.borrowed && kind !== "cancelled")) throw new TryAgain("", { cause: error });
    throw error;
  }
  for (const { blob, lines } of layers) if (blob.digest === digest) lines.downloaded();
}

function inputOf({ content }: Workshop, layer: PulledLayer, joined: ReadonlyMap<Digest, Joined>): LayerInput {
  const { diffId, parent, blob } = layer;
  const source = joined.get(blob.digest)?.source ?? { path: content.path(blob.digest) };
  return { diffId, parent, source };
}

/**
 * Waits for all. At the first failure the others are stopped; that failure is thrown when they have ended, unless one before it in the
 * list says why: an unpacking fails when its download does.
 */
async function firstErrorOf(tasks: readonly Promise<unknown>[], stop: () => void): Promise<void> {
  let stopped = false;
  const errors = await Promise.all(
    tasks.map((task) =>
      task.then(
        () => undefined,
        (error: unknown) => {
          const isOwn = !stopped || errorKind(error) !== "cancelled";
          stopped = true;
          stop();
          return { error, isOwn };
        },
      ),
    ),
  );
  const failed = errors.filter((one) => one !== undefined);
  const first = failed.find(({ isOwn }) => isOwn) ?? failed[0];
  if (first !== undefined) throw first.error;
}
