import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import type { Content } from "../content/content.ts";
import { isImageConfigType, isIndexType, isManifestType } from "../oci/media-types.ts";
import { HOST_PLATFORM, platformRank } from "../oci/platform.ts";
import type { Descriptor, ImageConfigFile, ImageManifest, Platform } from "../oci/types.ts";
import { LIMITS, parseImageConfig, parseIndex, parseManifest } from "../oci/validate.ts";
import type { Part, Target } from "./images.ts";
import { checkLayerCount } from "./plan.ts";

/** An image that a target has, ready to be recorded. */
export interface FoundImage {
  readonly id: Digest;
  readonly config: ImageConfigFile;
  readonly configBytes: Buffer;
  readonly manifest: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface ReadTarget extends Target {
  /** The available images by id. */
  readonly images: ReadonlyMap<Digest, FoundImage>;
}

type Hold = (digests: Iterable<Digest>) => Promise<void>;

const REFERENCE_TYPE = "vnd.docker.reference.type";
const REFERENCE_DIGEST = "vnd.docker.reference.digest";

/**
 * Reads a target from content: all that it names, and which of that is there. "invalid" for documents that are none, for a
 * single manifest whose blobs are missing, and for an index that has images of which none is available. What is found is held
 * before it is looked for.
 */
export async function readTarget(content: Content, descriptor: Descriptor, hold: Hold): Promise<ReadTarget> {
  const reader = new TargetReader(content, hold);
  const isIndex = isIndexType(descriptor.mediaType);
  if (isIndex) await reader.index(descriptor, 0);
  else await reader.leaf(descriptor);
  const { parts, images, documents } = reader;
  if (!isIndex && parts[0]?.available !== true) throw blobsMissing(content, descriptor, reader.missing);
  if (images.size === 0 && parts.some(({ kind }) => kind === "image")) throw noPlatform(descriptor, parts);
  const imageId = bestImage(parts) ?? descriptor.digest;
  return { descriptor, imageId, documents, parts, images };
}

/** The available image that fits this machine best, else the first; undefined when there is none. */
export function bestImage(parts: readonly Part[]): Digest | undefined {
  let best: { readonly image: Digest; readonly rank: number } | undefined;
  for (const { image, descriptor } of parts) {
    if (image === undefined) continue;
    const rank = descriptor.platform === undefined ? 0 : platformRank(HOST_PLATFORM, descriptor.platform);
    if (best === undefined || rank > best.rank) best = { image, rank };
  }
  return best?.image;
}

class TargetReader {
  readonly parts: Part[] = [];
  readonly images = new Map<Digest, FoundImage>();
  readonly documents: Digest[] = [];
  missing: Digest | undefined;
  readonly #content: Content;
  readonly #hold: Hold;
  readonly #seen = new Set<Digest>();

  constructor(content: Content, hold: Hold) {
    this.#content = content;
    this.#hold = hold;
  }

  async index(descriptor: Descriptor, depth: number): Promise<void> {
    await this.#hold([descriptor.digest]);
    if (depth > LIMITS.indexDepth)
      throw new EngineError("invalid", `invalid index: indexes lie more than ${LIMITS.indexDepth} deep in each other`);
    const index = parseIndex(await this.#document(descriptor), `index ${descriptor.digest}`);
    this.documents.push(descriptor.digest);
    for (const child of index.manifests) {
      if (this.#seen.has(child.digest)) continue;
      this.#seen.add(child.digest);
      if (this.#seen.size > LIMITS.manifests)
        throw new EngineError("invalid", `invalid index ${descriptor.digest}: more than ${LIMITS.manifests} manifests`);
      const isNested = isIndexType(child.mediaType) && (await this.#all([child.digest]));
      if (isNested) await this.index(child, depth + 1);
      else await this.leaf(child);
    }
  }

  async leaf(descriptor: Descriptor): Promise<void> {
    const { annotations = {} } = descriptor;
    if (annotations[REFERENCE_TYPE] !== undefined) {
      const about = annotations[REFERENCE_DIGEST];
      const part = await this.#opaque(descriptor, "attestation");
      this.parts.push({ ...part, ...(about !== undefined && { for: about as Digest }) });
    } else this.parts.push(await this.#part(descriptor));
  }

  async #part(descriptor: Descriptor): Promise<Part> {
    const { mediaType, digest, platform } = descriptor;
    if (!isManifestType(mediaType)) return await this.#opaque(descriptor, "unknown");
    const manifest = await this.#manifest(descriptor);
    if (manifest === undefined)
      return { descriptor, kind: isKnown(platform) ? "image" : "unknown", available: false, blobs: [] };
    if (!isImageManifest(manifest)) return await this.#opaque(descriptor, "unknown");
    const blobs = [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)];
    if (!(await this.#all(blobs))) return { descriptor, kind: "image", available: false, blobs: [] };
    const image = await this.#image(descriptor, manifest);
    const whole = { ...descriptor, platform: isKnown(platform) ? platform : platformOf(image.config) };
    return { descriptor: whole, kind: "image", available: true, image: image.id, blobs };
  }

  async #image(descriptor: Descriptor, { config: { digest: id, size }, layers }: ImageManifest): Promise<FoundImage> {
    const configBytes = await this.#content.read(id, LIMITS.configBytes);
    checkSize({ digest: id, size }, configBytes.length);
    const config = parseImageConfig(configBytes, `configuration ${id}`);
    checkLayerCount(config, layers.length);
    for (const layer of layers) checkSize(layer, this.#content.info(layer.digest)?.size ?? 0);
    const { mediaType, digest, size: manifestSize } = descriptor;
    const found = { id, config, configBytes, manifest: { mediaType, digest, size: manifestSize }, layers };
    this.images.set(id, found);
    return found;
  }

  /** Something that is kept as it is, without knowing what it means. */
  async #opaque(descriptor: Descriptor, kind: Part["kind"]): Promise<Part> {
    const { digest, mediaType } = descriptor;
    const isDocument = isManifestType(mediaType);
    const manifest = isDocument ? await this.#manifest(descriptor) : undefined;
    const children = manifest === undefined ? [] : [manifest.config, ...manifest.layers].map((blob) => blob.digest);
    const blobs = [...new Set([digest, ...children])];
    const available = (manifest !== undefined || !isDocument) && (await this.#all(blobs));
    return { descriptor, kind, available, blobs: available ? blobs : [] };
  }

  /** Undefined when it is not there. */
  async #manifest(descriptor: Descriptor): Promise<ImageManifest | undefined> {
    if (!(await this.#all([descriptor.digest]))) return undefined;
    return parseManifest(await this.#document(descriptor), `manifest ${descriptor.digest}`);
  }

  async #document(descriptor: Descriptor): Promise<Buffer> {
    const bytes = await this.#content.read(descriptor.digest, LIMITS.manifestBytes);
    checkSize(descriptor, bytes.length);
    return bytes;
  }

  async #all(blobs: readonly Digest[]): Promise<boolean> {
    await this.#hold(blobs);
    const missing = blobs.find((digest) => this.#content.info(digest) === undefined);
    this.missing ??= missing;
    return missing === undefined;
  }
}

/** An image has an image's configuration and tars as layers; an artifact that borrows the configuration's type has not. */
export function isImageManifest({ config, layers, artifactType }: ImageManifest): boolean {
  return (
    artifactType === undefined &&
    isImageConfigType(config.mediaType) &&
    layers.every(({ mediaType }) => /[.+/]tar(?:[.+]|$)/.test(mediaType))
  );
}

function isKnown(platform: Platform | undefined): platform is Platform {
  return (
    platform !== undefined && ![platform.os, platform.architecture].some((word) => word === "" || word === "unknown")
  );
}

function platformOf({ os, architecture, variant }: ImageConfigFile): Platform {
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

function checkSize({ digest, size }: Pick<Descriptor, "digest" | "size">, actual: number): void {
  if (size !== actual) throw new EngineError("invalid", `blob ${digest} has ${actual} bytes, expected ${size}`);
}

function blobsMissing(content: Content, { digest }: Descriptor, missing: Digest | undefined): EngineError {
  const what = missing ?? digest;
  const detail = content.info(what) === undefined ? "is missing" : "cannot be used";
  return new EngineError("invalid", `invalid manifest ${digest}: blob ${what} ${detail}`);
}

function noPlatform({ digest }: Descriptor, parts: readonly Part[]): EngineError {
  const count = parts.filter(({ kind }) => kind === "image").length;
  return new EngineError("invalid", `invalid index ${digest}: none of its ${count} images is complete`);
}
