/** Brings the blobs of a pull into content and its image's layers into snapshots, both at the same time. */
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
import type { PullPlan } from "./pull-plan.ts";
import type { Workshop } from "./workshop.ts";

export interface Fetching {
  readonly shop: Workshop;
  readonly lease: Lease;
  readonly repository: Repository;
  readonly plan: PullPlan;
  readonly options: PullOptions;
}

interface PulledBlob {
  readonly blob: Descriptor;
  readonly lines: LayerLines;
  /** What is to be unpacked of it. */
  readonly layer?:
    | { readonly diffId: Digest; readonly chainId: Digest; readonly parent: Digest | undefined }
    | undefined;
}

/** Post-condition: everything that the pull needs is stored, its image unpacked, and all of it held by the lease. */
export async function fetchBlobs(fetching: Fetching): Promise<void> {
  const { shop, lease } = fetching;
  const blobs = blobsOf(fetching);
  await lease.hold(blobs.flatMap(({ blob, layer }) => [blob.digest, ...(layer === undefined ? [] : [layer.chainId])]));
  announce(shop, blobs);
  try {
    await bring(fetching, blobs);
  } catch (error) {
    // What another pull's credentials could not have, or an earlier attempt's remains spoilt, is tried once by itself.
    if (!(error instanceof TryAgain)) throw error;
    await bring(fetching, blobs);
  }
  for (const { lines } of blobs) lines.complete();
}

class TryAgain extends Error {}

function blobsOf({ plan: { image, others }, options }: Fetching): PulledBlob[] {
  const diffIds = image?.config.rootfs.diff_ids ?? [];
  const chain = chainIds(diffIds);
  const withLines = (blob: Descriptor) => ({ blob, lines: new LayerLines(blob, options.onProgress) });
  const layers = (image?.layers ?? []).map((blob, at) => ({
    ...withLines(blob),
    layer: { diffId: diffIds[at] as Digest, chainId: chain[at] as Digest, parent: chain[at - 1] },
  }));
  const besides = others.filter(({ digest }) => !layers.some(({ blob }) => blob.digest === digest));
  return [...layers, ...besides.map(withLines)];
}

/** An image that is here whole needs no word about its layers. */
function announce({ content, snapshots }: Workshop, blobs: readonly PulledBlob[]): void {
  const isHere = ({ blob, layer }: PulledBlob) =>
    content.info(blob.digest) !== undefined && (layer === undefined || snapshots.layer(layer.chainId) !== undefined);
  const allHere = blobs.every(isHere);
  for (const one of blobs) {
    if (!isHere(one)) one.lines.announce();
    else one.lines.exists(allHere);
  }
}

/** Downloads what is missing and unpacks it meanwhile. When it rejects, nothing of it is under way any more. */
async function bring(fetching: Fetching, blobs: readonly PulledBlob[]): Promise<void> {
  const { shop, options } = fetching;
  const joined = joinDownloads(fetching, blobs);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const leave = () => {
    for (const download of joined.values()) download.leave();
  };
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    const downloads = [...joined].map(([digest, download]) => downloaded(download, blobs, digest));
    const missing = blobs.filter(
      ({ layer }) => layer !== undefined && shop.snapshots.layer(layer.chainId) === undefined,
    );
    const unpacking = shop.snapshots.unpack(
      missing.map((one) => inputOf(shop, one, joined)),
      { signal, onProgress: (at, bytes) => missing[at]?.lines.extracting(bytes) },
    );
    await firstErrorOf([...downloads, unpacking], () => stop.abort());
  } finally {
    signal.removeEventListener("abort", leave);
    leave();
  }
}

function joinDownloads({ shop, repository }: Fetching, blobs: readonly PulledBlob[]): Map<Digest, Joined> {
  const joined = new Map<Digest, Joined>();
  for (const { blob, lines } of blobs) {
    if (joined.has(blob.digest) || shop.content.info(blob.digest) !== undefined) continue;
    const listener = {
      onBytes: (bytes: number) => lines.downloading(bytes),
      onRetry: (delay: number) => lines.retrying(delay),
    };
    joined.set(blob.digest, shop.downloads.join(blob, repository, listener));
  }
  return joined;
}

async function downloaded(download: Joined, blobs: readonly PulledBlob[], digest: Digest): Promise<void> {
  try {
    await download.done;
  } catch (error) {
    const kind = errorKind(error);
    if (kind === "conflict" || (download.borrowed && kind !== "cancelled")) throw new TryAgain("", { cause: error });
    throw error;
  }
  for (const { blob, lines } of blobs) if (blob.digest === digest) lines.downloaded();
}

function inputOf({ content }: Workshop, { blob, layer }: PulledBlob, joined: ReadonlyMap<Digest, Joined>): LayerInput {
  const { diffId, parent } = layer as NonNullable<PulledBlob["layer"]>;
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
