import type { Readable } from "node:stream";
import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { shortId } from "../base/ids.ts";
import type { Content } from "../content/content.ts";
import { chainIds } from "../oci/chain.ts";
import { platformMatches } from "../oci/platform.ts";
import { familiarName, type Reference, repositoryOf } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import type { LayerInput } from "../snapshots/snapshots.ts";
import { DOCKER_MANIFEST, planDockerArchive } from "./docker-archive.ts";
import type { Progress } from "./images.ts";
import type { Lease } from "./leases.ts";
import { OCI_INDEX, OCI_LAYOUT, planOciLayout, platformMissing } from "./oci-layout.ts";
import type { PlannedImage } from "./plan.ts";
import { Spool } from "./spool.ts";
import { incoming, publish, setTag, type Workshop, withLease } from "./workshop.ts";

export interface LoadOptions {
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (line: Progress) => void;
}

/** Post-condition: every image of the archive is there under its names, or nothing of it is. */
export async function load(shop: Workshop, archive: Readable, options: LoadOptions): Promise<void> {
  const source = incoming(archive, options.signal);
  await withLease(shop, async (lease) => {
    const spool = await Spool.read(source, shop.content, lease);
    const planned = await plan(spool, shop.content, options.platform);
    await storeDocuments(shop, lease, planned);
    await unpack(shop, lease, planned, options);
    options.signal?.throwIfAborted();
    const lines = shop.catalog.durable(() => planned.map((image) => register(shop, image)));
    for (const { id } of planned) publish(shop, "load", id, id);
    for (const line of lines.flat()) options.onProgress({ stream: `${line}\n` });
  });
}

/** An archive that is both is read as an OCI layout, which says more, and keeps its manifests' digests. */
async function plan(spool: Spool, content: Content, platform: Platform | undefined): Promise<PlannedImage[]> {
  if (spool.has(OCI_INDEX) && spool.has(OCI_LAYOUT)) {
    const planned = await planOciLayout(spool, content, platform);
    if (planned.length > 0) return planned;
    throw new EngineError("invalid", "invalid archive: its index.json names no image");
  }
  if (!spool.has(DOCKER_MANIFEST)) throw noImages(spool);
  const planned = await planDockerArchive(spool, content);
  const fitting = planned.filter(({ config }) => platform === undefined || platformMatches(platform, config));
  if (fitting.length === 0 && planned.length > 0) throw platformMissing(platform);
  return fitting;
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

async function storeDocuments(shop: Workshop, lease: Lease, planned: readonly PlannedImage[]): Promise<void> {
  for (const { configBytes, manifestBytes, layers } of planned) {
    await lease.store(() => shop.content.put(configBytes));
    await lease.store(() => shop.content.put(manifestBytes));
    await lease.hold(layers.map(({ digest }) => digest));
  }
}

interface PlannedLayer extends LayerInput {
  readonly chainId: Digest;
  readonly size: number;
}

async function unpack(
  shop: Workshop,
  lease: Lease,
  planned: readonly PlannedImage[],
  { signal, onProgress }: LoadOptions,
): Promise<void> {
  const layers = new Map(planned.flatMap((image) => layersOf(shop, image)).map((layer) => [layer.chainId, layer]));
  await lease.hold(layers.keys());
  const missing = [...layers.values()].filter(({ chainId }) => shop.snapshots.layer(chainId) === undefined);
  if (missing.length === 0) return;
  const meter = new Meter(missing, onProgress);
  await shop.snapshots.unpack(missing, {
    ...(signal !== undefined && { signal }),
    onProgress: (layer, bytes) => meter.at(layer, bytes),
  });
  meter.done();
}

function layersOf(shop: Workshop, { config, layers }: PlannedImage): PlannedLayer[] {
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

/** Progress lines as Docker's, at most ten a second for each layer, and a last one that says it is whole. */
class Meter {
  readonly #layers: readonly PlannedLayer[];
  readonly #onProgress: (line: Progress) => void;
  readonly #told = new Map<number, number>();

  constructor(layers: readonly PlannedLayer[], onProgress: (line: Progress) => void) {
    this.#layers = layers;
    this.#onProgress = onProgress;
  }

  at(layer: number, bytes: number): void {
    const now = Date.now();
    if (now - (this.#told.get(layer) ?? 0) < 100) return;
    this.#told.set(layer, now);
    this.#tell(layer, bytes);
  }

  done(): void {
    for (const [layer, { size }] of this.#layers.entries()) this.#tell(layer, size);
  }

  #tell(layer: number, current: number): void {
    const { diffId, size } = this.#layers[layer] as PlannedLayer;
    this.#onProgress({
      status: "Loading layer",
      progressDetail: { current: Math.min(current, size), total: size },
      id: shortId(diffId),
    });
  }
}

/** Inside the transaction. Returns what to tell the user. */
function register(shop: Workshop, image: PlannedImage): string[] {
  const { id, manifest, configBytes, layers, names } = image;
  shop.catalog.addImage({ id, manifest, config: configBytes, layers: layers.map(({ digest }) => digest) });
  const lines = names.flatMap((reference) => registerName(shop, image, reference));
  return lines.length > 0 ? lines : [`Loaded image ID: ${id}`];
}

function registerName(shop: Workshop, { id, manifest, canonical }: PlannedImage, reference: Reference): string[] {
  const name = familiarName(reference);
  const before = setTag(shop, reference, id, manifest);
  if (canonical) {
    const { domain, path } = reference;
    shop.catalog.setName(
      { domain, path, digest: manifest.digest },
      `${repositoryOf(reference)}@${manifest.digest}`,
      id,
      manifest,
    );
  }
  const moved = `The image ${name} already exists, renaming the old one with ID ${before} to empty string`;
  return [...(before === undefined ? [] : [moved]), `Loaded image: ${name}`];
}
