import type { ImageManifestSummary, ImageSummary, OCIDescriptor, OCIPlatform } from "../api/types/image.ts";
import type { Digest } from "../base/digest.ts";
import type { Descriptor } from "../oci/types.ts";
import { booleanFilter, checkFilters, createdAt, createdBetween, matchesLabels, matchesReference } from "./filters.ts";
import type { Filters, Part } from "./images.ts";
import type { ImageRecord, NameRecord, TargetRecord } from "./rows.ts";
import { type Makings, makingsOf, sharedMakings } from "./sizes.ts";
import type { Workshop } from "./workshop.ts";

export interface ListOptions {
  readonly all: boolean;
  readonly filters: Filters;
  readonly sharedSize: boolean;
  readonly digests: boolean;
  readonly manifests: boolean;
}

const FILTERS = ["dangling", "label", "before", "since", "until", "reference"];

/** Newest first. */
export async function list(shop: Workshop, options: ListOptions): Promise<ImageSummary[]> {
  const { catalog, sizes } = shop;
  checkFilters(options.filters, FILTERS);
  const { after, before } = createdBetween(catalog, options.filters, Date.now());
  if (options.sharedSize) await shop.snapshots.measured();
  const makings = new Map(catalog.shown().map(({ image }) => [image.id, makingsOf(catalog, image.id)]));
  const shared = options.sharedSize ? sharedMakings(makings) : undefined;
  const counts = useCounts(shop);
  const summaries: ImageSummary[] = [];
  for (const record of catalog.shown()) {
    const created = createdAt(record);
    if (created <= after || created >= before || !matchesLabels(record, options.filters)) continue;
    const names = shownNames(shop, record, options);
    if (names === undefined) continue;
    const mine = makings.get(record.image.id) ?? NOTHING;
    summaries.push({
      Id: record.image.id,
      ParentId: record.parent ?? "",
      RepoTags: tagsOf(names),
      RepoDigests: digestsOf(names),
      Created: Math.floor(created / 1000),
      Size: sizes.of(mine),
      SharedSize: shared === undefined ? -1 : sizes.of(both(mine, shared)),
      Labels: { ...record.image.config.config?.Labels },
      Containers: catalog.family(record.image.id).reduce((sum, id) => sum + (counts.get(id) ?? 0), 0),
      Manifests: options.manifests ? manifestsOf(shop, record) : [],
      Descriptor: wireDescriptor(
        names[0]?.target ?? catalog.targetsOf(record.image.id)[0]?.descriptor ?? record.image.manifest,
      ),
    });
  }
  return summaries.sort((a, b) => b.Created - a.Created || (a.Id < b.Id ? -1 : 1));
}

/** The names to show, or undefined when the image is not to be listed at all. */
function shownNames(
  { catalog }: Workshop,
  record: ImageRecord,
  { all, filters }: ListOptions,
): NameRecord[] | undefined {
  const { id } = record.image;
  const every = catalog.namesOf(id);
  const danglingOnly = booleanFilter(filters, "dangling", false);
  const patterns = filters.reference;
  if (every.length === 0) {
    const isIntermediate = catalog.children(id).length > 0;
    const isUnwanted = (filters.dangling !== undefined && !danglingOnly) || patterns !== undefined;
    return isUnwanted || (isIntermediate && !all) ? undefined : [];
  }
  if (danglingOnly && tagsOf(every).length > 0) return undefined;
  const shown = patterns === undefined ? every : every.filter((name) => matchesReference(name, patterns));
  return shown.length === 0 ? undefined : shown;
}

export function tagsOf(names: readonly NameRecord[]): string[] {
  return names.filter(({ reference }) => reference.digest === undefined).map(({ familiar }) => familiar);
}

export function digestsOf(names: readonly NameRecord[]): string[] {
  return names.filter(({ reference }) => reference.digest !== undefined).map(({ familiar }) => familiar);
}

const NOTHING: Makings = { blobs: new Set(), layers: new Set() };

function both(one: Makings, other: Makings): Makings {
  return { blobs: one.blobs.intersection(other.blobs), layers: one.layers.intersection(other.layers) };
}

function useCounts(shop: Workshop): Map<Digest, number> {
  const counts = new Map<Digest, number>();
  for (const { imageId } of shop.uses()) counts.set(imageId, (counts.get(imageId) ?? 0) + 1);
  return counts;
}

/** Every manifest of the targets that show the image, each once. */
export function manifestsOf(shop: Workshop, { image }: ImageRecord): ImageManifestSummary[] {
  return summaries(shop, shop.catalog.targetsOf(image.id));
}

export function summaries(shop: Workshop, targets: readonly Pick<TargetRecord, "parts">[]): ImageManifestSummary[] {
  const parts = new Map(targets.flatMap((target) => target.parts).map((part) => [part.descriptor.digest, part]));
  return [...parts.values()].map((part) => manifestSummary(shop, part));
}

function manifestSummary({ catalog, sizes, content, uses }: Workshop, part: Part): ImageManifestSummary {
  const { descriptor, kind, available, image } = part;
  const record = image === undefined ? undefined : catalog.image(image);
  const unpacked = sizes.of({ blobs: new Set(), layers: new Set(record?.chain) });
  const stored = part.blobs.reduce((sum, digest) => sum + (content.info(digest)?.size ?? 0), 0);
  return {
    ID: descriptor.digest,
    Descriptor: wireDescriptor(descriptor),
    Available: available,
    Size: { Total: unpacked + stored, Content: stored },
    Kind: kind,
    ...(kind === "image" && {
      ImageData: {
        Platform: {
          ...descriptor.platform,
          os: descriptor.platform?.os ?? "",
          architecture: descriptor.platform?.architecture ?? "",
        } as OCIPlatform,
        Containers: uses()
          .filter(({ imageId }) => imageId === image)
          .map(({ containerId }) => containerId),
        Size: { Unpacked: unpacked },
      },
    }),
    ...(kind === "attestation" && { AttestationData: { For: part.for ?? "" } }),
  };
}

/** As it stands in its index, with platform and annotations. */
export function wireDescriptor({
  mediaType,
  digest,
  size,
  platform,
  annotations,
  artifactType,
}: Descriptor): OCIDescriptor {
  return {
    mediaType,
    digest,
    size,
    ...(annotations !== undefined && { annotations: { ...annotations } }),
    ...(platform !== undefined && { platform: { ...platform } as OCIPlatform }),
    ...(artifactType !== undefined && { artifactType }),
  };
}
