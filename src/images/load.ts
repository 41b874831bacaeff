import type { Readable } from "node:stream";
import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { shortId } from "../base/ids.ts";
import type { Content } from "../content/content.ts";
import { familiarName, type Reference } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import { DOCKER_MANIFEST, dockerNames, planDockerArchive } from "./docker-archive.ts";
import type { Lease, Progress } from "./images.ts";
import { OCI_INDEX, OCI_LAYOUT, planOciLayout } from "./oci-layout.ts";
import { type PlannedTarget, uniqueReferences } from "./plan.ts";
import { enterRecord, unpackLayers } from "./record.ts";
import { blobPath, Spool } from "./spool.ts";
import { type ReadTarget, readTarget } from "./target.ts";
import { incoming, publish, type Workshop, withLease } from "./workshop.ts";

export interface LoadOptions {
  readonly platforms?: readonly Platform[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (line: Progress) => void;
}

/** Post-condition: every image of the archive is there under its names, or nothing of it is. */
export async function load(shop: Workshop, archive: Readable, options: LoadOptions): Promise<void> {
  const source = incoming(archive, options.signal);
  await withLease(shop, async (lease) => {
    const spool = await Spool.read(source, shop.content, lease);
    const planned = await plan(spool, shop.content, options.platforms ?? []);
    const found = await readTargets(shop, lease, planned, await moreNames(spool));
    await unpack(shop, lease, found, options);
    options.signal?.throwIfAborted();
    const lines = shop.catalog.durable(() => found.map((target) => register(shop, target)));
    for (const { read } of found) publish(shop, "load", read.imageId, read.imageId);
    for (const line of lines.flat()) options.onProgress({ stream: `${line}\n` });
  });
}

/** An archive that is both is read as an OCI layout, which says more, and keeps its manifests' digests. */
async function plan(spool: Spool, content: Content, platforms: readonly Platform[]): Promise<PlannedTarget[]> {
  if (isOciLayout(spool)) {
    const planned = await planOciLayout(spool, platforms);
    if (planned.length > 0) return planned;
    throw new EngineError("invalid", `invalid archive: its ${OCI_INDEX} names no image`);
  }
  if (!spool.has(DOCKER_MANIFEST)) throw noImages(spool);
  return await planDockerArchive(spool, content, platforms);
}

function isOciLayout(spool: Spool): boolean {
  return spool.has(OCI_INDEX) && spool.has(OCI_LAYOUT);
}

/** Tags that an OCI layout has only in its manifest.json, by the path of the configuration. */
async function moreNames(spool: Spool): Promise<ReadonlyMap<string, readonly Reference[]>> {
  return isOciLayout(spool) && spool.has(DOCKER_MANIFEST) ? await dockerNames(spool) : new Map();
}

interface LoadedTarget {
  readonly read: ReadTarget;
  /** With tags. */
  readonly names: readonly Reference[];
  readonly canonical: boolean;
}

async function readTargets(
  shop: Workshop,
  lease: Lease,
  planned: readonly PlannedTarget[],
  more: ReadonlyMap<string, readonly Reference[]>,
): Promise<LoadedTarget[]> {
  const found: LoadedTarget[] = [];
  for (const { target, names, canonical } of planned) {
    const read = await readTarget(shop.content, target, (digests) => lease.hold(digests));
    found.push({ read, names: uniqueReferences([...names, ...(more.get(blobPath(read.imageId)) ?? [])]), canonical });
  }
  return found;
}

function noImages(spool: Spool): EngineError {
  if (spool.has("repositories"))
    return new EngineError(
      "invalid",
      "invalid archive: does not contain a manifest.json; the format of Docker before 1.10 is not supported",
      { hint: "load it with an old Docker and save it again" },
    );
  return new EngineError("invalid", "invalid archive: does not contain a manifest.json", {
    hint: "the archive must come from `save` or be an OCI layout; a root file system becomes an image by `import`",
  });
}

/** Only what each target shows; images of other platforms are unpacked when they are first used. */
async function unpack(
  shop: Workshop,
  lease: Lease,
  found: readonly LoadedTarget[],
  { signal, onProgress }: LoadOptions,
): Promise<void> {
  const shown = found.flatMap(({ read }) => read.images.get(read.imageId) ?? []);
  const meter = new Meter(onProgress);
  await unpackLayers(shop, lease, shown, { signal, onUnpack: (layer, bytes) => meter.at(layer, bytes) });
  // A pull that runs at the same time may have stored some of them without.
  await shop.content.sync(
    found.flatMap(({ read }) => [...read.documents, ...read.parts.flatMap(({ blobs }) => blobs)]),
  );
}

const WHOLE = Number.POSITIVE_INFINITY;

/** Progress lines as Docker's, at most ten a second for each layer, and a last one that says it is whole. */
class Meter {
  readonly #onProgress: (line: Progress) => void;
  readonly #told = new Map<Digest, number>();

  constructor(onProgress: (line: Progress) => void) {
    this.#onProgress = onProgress;
  }

  at({ diffId, size }: { readonly diffId: Digest; readonly size: number }, bytes: number): void {
    const now = Date.now();
    const told = this.#told.get(diffId) ?? 0;
    const isWhole = bytes >= size;
    if (told === WHOLE || (!isWhole && now - told < 100)) return;
    this.#told.set(diffId, isWhole ? WHOLE : now);
    this.#onProgress({
      status: "Loading layer",
      progressDetail: { current: Math.min(bytes, size), total: size },
      id: shortId(diffId),
    });
  }
}

/** Inside the transaction. Returns what to tell the user. */
function register(shop: Workshop, { read, names, canonical }: LoadedTarget): string[] {
  const { descriptor, imageId } = read;
  const { moved } = enterRecord(shop, read, {
    target: descriptor,
    names: canonical ? names.flatMap((name) => [name, canonicalName(name, read)]) : names,
  });
  if (names.length === 0) return [`Loaded image ID: ${imageId}`];
  return names.flatMap((reference) => {
    const before = moved.find(({ name }) => name === reference)?.from;
    const name = familiarName(reference);
    const told = `The image ${name} already exists, renaming the old one with ID ${before} to empty string`;
    return [...(before === undefined ? [] : [told]), `Loaded image: ${name}`];
  });
}

function canonicalName({ domain, path }: Reference, { descriptor }: ReadTarget): Reference {
  return { domain, path, digest: descriptor.digest };
}
