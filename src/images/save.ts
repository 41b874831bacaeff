import type { Readable } from "node:stream";
import { type Digest, parseDigest } from "../base/digest.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { TarWriter } from "../base/tar/writer.ts";
import { MEDIA } from "../oci/media-types.ts";
import { idPrefix, parseImageName, repositoryOf } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import type { Catalog } from "./catalog.ts";
import { DOCKER_MANIFEST } from "./docker-archive.ts";
import type { Target } from "./images.ts";
import { NAME_ANNOTATION, OCI_INDEX, OCI_LAYOUT, REF_ANNOTATION } from "./oci-layout.ts";
import { resolve } from "./resolve.ts";
import type { NameRecord } from "./rows.ts";
import { blobPath } from "./spool.ts";
import { bestImage } from "./target.ts";
import { publish, type Workshop } from "./workshop.ts";

interface Saved {
  /** With those parts that go into the archive. */
  readonly target: Target;
  readonly names: readonly NameRecord[];
  /** What Docker's own format can say of it: one image; undefined for an artifact. */
  readonly shown: { readonly id: Digest; readonly layers: readonly Digest[]; readonly platform: Platform } | undefined;
}

/**
 * An archive that is an OCI layout and a Docker archive at once; the same bytes for the same images and names. Targets go whole, as far
 * as they are here; of one platform its manifest alone, of several their index with these. What the archive holds cannot be
 * removed until the stream ends or is destroyed. A repository without a tag means all its tags.
 */
export async function save(
  shop: Workshop,
  names: readonly string[],
  platforms: readonly Platform[] = [],
): Promise<Readable> {
  if (names.length === 0) throw new EngineError("invalid", "no images to save");
  const images = choose(shop, names, platforms);
  const lease = shop.leases.open();
  try {
    await lease.hold(blobsOf(images));
    const writer = new TarWriter();
    writer.stream.once("close", () => lease.release());
    void write(shop, images, writer).catch((error: unknown) => {
      shop.logger.log("debug", "a save ended early", { error: errorMessage(error) });
      writer.destroy(error instanceof Error ? error : new Error(String(error)));
    });
    return writer.stream;
  } catch (error) {
    lease.release();
    throw error;
  }
}

/** Each target once, in the order of asking, with the names it was asked by. */
function choose(shop: Workshop, texts: readonly string[], platforms: readonly Platform[]): Saved[] {
  const chosen = new Map<Digest, { readonly target: Target; readonly names: Map<string, NameRecord> }>();
  const add = (text: string, name: NameRecord | undefined) => {
    const target = narrow(shop.catalog, text, platforms);
    const entry = chosen.get(target.descriptor.digest) ?? { target, names: new Map() };
    chosen.set(target.descriptor.digest, entry);
    if (name !== undefined && name.reference.digest === undefined) entry.names.set(name.name, name);
  };
  for (const text of texts) {
    const tags = tagsOfRepository(shop, text);
    for (const name of tags) add(name.name, name);
    if (tags.length > 0) continue;
    const { name } = resolve(shop.catalog, text);
    add(text, name === undefined ? undefined : shop.catalog.name(name));
  }
  return [...chosen.values()].map(({ target, names }) => ({
    target,
    names: [...names.values()],
    shown: shownOf(shop.catalog, target),
  }));
}

/** What of a target is wanted: "not-found" when it lacks one of the platforms. */
function narrow(catalog: Catalog, text: string, platforms: readonly Platform[]): Target {
  const { target, record } = resolve(catalog, text, platforms[0]);
  if (platforms.length === 0) return target;
  const ids = new Set(platforms.map((platform) => resolve(catalog, text, platform).record.image.id));
  const parts = target.parts.filter(({ image }) => image !== undefined && ids.has(image));
  const [only] = parts;
  if (only !== undefined && ids.size === 1) {
    const { mediaType, digest, size } = only.descriptor;
    return { descriptor: { mediaType, digest, size }, imageId: record.image.id, documents: [], parts: [only] };
  }
  const manifests = new Set(parts.map(({ descriptor }) => descriptor.digest));
  const about = target.parts.filter((part) => part.for !== undefined && manifests.has(part.for));
  return { ...target, imageId: bestImage(parts) ?? target.imageId, parts: [...parts, ...about] };
}

function shownOf(catalog: Catalog, { imageId, parts }: Target): Saved["shown"] {
  const part = parts.find(({ image }) => image === imageId);
  const record = catalog.image(imageId);
  if (part === undefined || record === undefined) return undefined;
  const { os, architecture, variant } = record.image.config;
  const platform = { architecture, os, ...(variant !== undefined && { variant }) };
  return { id: imageId, layers: part.blobs.slice(2), platform };
}

/** Empty when the text has a tag or digest, or names no repository. */
function tagsOfRepository({ catalog }: Workshop, text: string): NameRecord[] {
  if (idPrefix(text)?.length === 64) return [];
  const parsed = parseImageName(text);
  if (parsed.kind === "id" || parsed.reference.tag !== undefined || parsed.reference.digest !== undefined) return [];
  return catalog.tagsOf(repositoryOf(parsed.reference));
}

async function write(shop: Workshop, images: readonly Saved[], writer: TarWriter): Promise<void> {
  await writer.add({ path: OCI_LAYOUT }, JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writer.add({ path: OCI_INDEX }, JSON.stringify(ociIndex(images)));
  const entries = images.flatMap(dockerEntry);
  if (entries.length > 0) {
    await writer.add({ path: DOCKER_MANIFEST }, JSON.stringify(entries));
    await writer.add({ path: "repositories" }, JSON.stringify(repositories(images)));
  }
  await writer.add({ path: "blobs", type: "directory" });
  const blobs = blobsOf(images);
  for (const algorithm of new Set(Array.from(blobs, (digest) => parseDigest(digest).algorithm)))
    await writer.add({ path: `blobs/${algorithm}`, type: "directory" });
  for (const digest of blobs) {
    const size = shop.content.info(digest)?.size;
    if (size === undefined) throw new EngineError("internal", `blob ${digest} of an image is missing`);
    await writer.add({ path: blobPath(digest), size }, shop.content.stream(digest));
  }
  await writer.finish();
  for (const { target } of images) publish(shop, "save", target.imageId, target.imageId);
}

/** Documents first, then layers; each once. */
function blobsOf(images: readonly Saved[]): Set<Digest> {
  const parts = images.flatMap(({ target }) => target.parts);
  return new Set([
    ...images.flatMap(({ target }) => target.documents),
    ...parts.flatMap(({ blobs }) => blobs.slice(0, 2)),
    ...parts.flatMap(({ blobs }) => blobs.slice(2)),
  ]);
}

function ociIndex(images: readonly Saved[]): unknown {
  const manifests = images.flatMap(({ target, names, shown }) => {
    const { mediaType, digest, size, artifactType } = target.descriptor;
    const platform = target.documents.length === 0 ? shown?.platform : undefined;
    const plain = { mediaType, digest, size, artifactType };
    if (names.length === 0) return [{ ...plain, platform }];
    return names.map(({ name, reference }) => ({
      ...plain,
      annotations: { [NAME_ANNOTATION]: name, [REF_ANNOTATION]: reference.tag },
      platform,
    }));
  });
  return { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests };
}

function dockerEntry({ names, shown }: Saved): unknown[] {
  if (shown === undefined) return [];
  const tags = names.length === 0 ? null : names.map(({ familiar }) => familiar);
  return [{ Config: blobPath(shown.id), RepoTags: tags, Layers: shown.layers.map(blobPath) }];
}

/** Docker's oldest list: repository, tag, topmost layer. */
function repositories(images: readonly Saved[]): unknown {
  const list: Record<string, Record<string, string>> = {};
  for (const { names, shown } of images)
    for (const { familiar, reference } of names) {
      const repository = familiar.slice(0, familiar.lastIndexOf(":"));
      list[repository] = { ...list[repository], [reference.tag ?? ""]: shown?.layers.at(-1)?.slice(7) ?? "" };
    }
  return list;
}
