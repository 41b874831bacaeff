import type { Readable } from "node:stream";
import type { Digest } from "../base/digest.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { TarWriter } from "../base/tar/writer.ts";
import { MEDIA } from "../oci/media-types.ts";
import { idPrefix, parseImageName, repositoryOf } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import { LIMITS, parseManifest } from "../oci/validate.ts";
import type { ImageRecord, NameRecord } from "./catalog.ts";
import { DOCKER_MANIFEST } from "./docker-archive.ts";
import { NAME_ANNOTATION, OCI_INDEX, OCI_LAYOUT, REF_ANNOTATION } from "./oci-layout.ts";
import { resolve } from "./resolve.ts";
import { publish, type Workshop } from "./workshop.ts";

interface Saved {
  readonly record: ImageRecord;
  readonly names: readonly NameRecord[];
  readonly layers: readonly Digest[];
}

/**
 * An archive that is an OCI layout and a Docker archive at once; the same bytes for the same images and names. What it holds
 * cannot be removed until the stream ends or is destroyed. A repository without a tag means all its tags.
 */
export async function save(
  shop: Workshop,
  names: readonly string[],
  platform?: Platform | undefined,
): Promise<Readable> {
  if (names.length === 0) throw new EngineError("invalid", "no images to save");
  const chosen = choose(shop, names, platform);
  const lease = shop.leases.open();
  try {
    await lease.hold(chosen.flatMap(({ record }) => record.blobs));
    const images = await Promise.all(chosen.map((image) => withLayers(shop, image)));
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

/** Each image once, in the order of asking, with the names it was asked by. */
function choose(shop: Workshop, texts: readonly string[], platform: Platform | undefined) {
  const chosen = new Map<Digest, { record: ImageRecord; names: Map<string, NameRecord> }>();
  const add = (record: ImageRecord, name: NameRecord | undefined) => {
    const image = chosen.get(record.image.id) ?? { record, names: new Map() };
    chosen.set(record.image.id, image);
    if (name !== undefined && name.reference.digest === undefined) image.names.set(name.name, name);
  };
  for (const text of texts) {
    for (const name of tagsOfRepository(shop, text)) add(resolve(shop.catalog, name.name, platform).record, name);
    if (tagsOfRepository(shop, text).length > 0) continue;
    const { record, name } = resolve(shop.catalog, text, platform);
    add(record, name === undefined ? undefined : shop.catalog.name(name));
  }
  return [...chosen.values()].map(({ record, names }) => ({ record, names: [...names.values()] }));
}

/** Empty when the text has a tag or digest, or names no repository. */
function tagsOfRepository({ catalog }: Workshop, text: string): NameRecord[] {
  if (idPrefix(text)?.length === 64) return [];
  const parsed = parseImageName(text);
  if (parsed.kind === "id" || parsed.reference.tag !== undefined || parsed.reference.digest !== undefined) return [];
  return catalog.tagsOf(repositoryOf(parsed.reference));
}

async function withLayers({ content }: Workshop, image: Omit<Saved, "layers">): Promise<Saved> {
  const { digest } = image.record.image.manifest;
  const manifest = parseManifest(await content.read(digest, LIMITS.manifestBytes), `manifest ${digest}`);
  return { ...image, layers: manifest.layers.map((layer) => layer.digest) };
}

async function write(shop: Workshop, images: readonly Saved[], writer: TarWriter): Promise<void> {
  await writer.add({ path: OCI_LAYOUT }, JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writer.add({ path: OCI_INDEX }, JSON.stringify(ociIndex(images)));
  await writer.add({ path: DOCKER_MANIFEST }, JSON.stringify(images.map(dockerEntry)));
  await writer.add({ path: "repositories" }, JSON.stringify(repositories(images)));
  await writer.add({ path: "blobs", type: "directory" });
  await writer.add({ path: "blobs/sha256", type: "directory" });
  for (const digest of blobsOf(images)) {
    const size = shop.content.info(digest)?.size;
    if (size === undefined) throw new EngineError("internal", `blob ${digest} of an image is missing`);
    await writer.add({ path: blobPath(digest), size }, shop.content.stream(digest));
  }
  await writer.finish();
  for (const { record } of images) publish(shop, "save", record.image.id, record.image.id);
}

/** Documents first, then layers; each once. */
function blobsOf(images: readonly Saved[]): Set<Digest> {
  const documents = images.flatMap(({ record }) => [record.image.manifest.digest, record.image.id]);
  return new Set([...documents, ...images.flatMap(({ layers }) => layers)]);
}

function ociIndex(images: readonly Saved[]): unknown {
  const manifests = images.flatMap(({ record, names }) => {
    const { os, architecture, variant } = record.image.config;
    const platform = { architecture, os, ...(variant !== undefined && { variant }) };
    const { mediaType, digest, size } = record.image.manifest;
    const plain = { mediaType, digest, size, platform };
    if (names.length === 0) return [plain];
    return names.map(({ name, reference }) => ({
      mediaType,
      digest,
      size,
      annotations: { [NAME_ANNOTATION]: name, [REF_ANNOTATION]: reference.tag },
      platform,
    }));
  });
  return { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests };
}

function dockerEntry({ record, names, layers }: Saved): unknown {
  return {
    Config: blobPath(record.image.id),
    RepoTags: names.length === 0 ? null : names.map(({ familiar }) => familiar),
    Layers: layers.map(blobPath),
  };
}

/** Docker's oldest list: repository, tag, topmost layer. */
function repositories(images: readonly Saved[]): unknown {
  const list: Record<string, Record<string, string>> = {};
  for (const { names, layers } of images)
    for (const { familiar, reference } of names) {
      const repository = familiar.slice(0, familiar.lastIndexOf(":"));
      list[repository] = { ...list[repository], [reference.tag ?? ""]: layers.at(-1)?.slice(7) ?? "" };
    }
  return list;
}

function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}
