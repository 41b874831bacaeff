/** What an archive asks for, read and checked, before anything of it becomes an image. */
import { open } from "node:fs/promises";
import { detectCompression, MAGIC_BYTES } from "../base/compression.ts";
import { type Digest, digestOf } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import type { Content } from "../content/content.ts";
import { MEDIA } from "../oci/media-types.ts";
import { formatPlatform } from "../oci/platform.ts";
import { type Reference, withDefaultTag } from "../oci/reference.ts";
import type { Descriptor, ImageConfigFile, Platform } from "../oci/types.ts";

export interface PlannedTarget {
  /** Its bytes, and those of what it needs as far as the archive has them, are in content. */
  readonly target: Descriptor;
  /** With tags. */
  readonly names: readonly Reference[];
  /** It came with the archive as it is, so that its digest is a name too. */
  readonly canonical: boolean;
}

/** One string for each reference, whatever it left out. */
export function uniqueReferences(references: readonly Reference[]): Reference[] {
  const byName = new Map(
    references
      .map(withDefaultTag)
      .map((reference) => [`${reference.domain}/${reference.path}:${reference.tag}`, reference]),
  );
  return [...byName.values()];
}

/** Throws "invalid", in Docker's words, unless there is one layer for each diff id. */
export function checkLayerCount(config: ImageConfigFile, layers: number): void {
  const expected = config.rootfs.diff_ids.length;
  if (layers !== expected)
    throw new EngineError("invalid", `invalid manifest, layers length mismatch: expected ${expected}, got ${layers}`);
}

export function platformMissing(wanted: readonly Platform[]): EngineError {
  const name = wanted.map(formatPlatform).join(", ") || "any";
  return new EngineError("not-found", `requested platform (${name}) not found: image might be filtered out`);
}

/** The manifest of an image that came without one: deterministic for one configuration and layers. */
export function makeManifest(
  config: { readonly digest: Digest; readonly size: number },
  layers: readonly { readonly digest: Digest; readonly size: number; readonly mediaType: string }[],
): { readonly manifest: Descriptor; readonly manifestBytes: Buffer } {
  const manifestBytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.ociManifest,
      config: { mediaType: MEDIA.ociConfig, digest: config.digest, size: config.size },
      layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    }),
  );
  const manifest = { mediaType: MEDIA.ociManifest, digest: digestOf(manifestBytes), size: manifestBytes.length };
  return { manifest, manifestBytes };
}

const LAYER_TYPES = { none: MEDIA.ociLayer, gzip: MEDIA.ociLayerGzip, zstd: MEDIA.ociLayerZstd };

/** By the blob's first bytes. */
export async function layerMediaType(content: Content, digest: Digest): Promise<string> {
  const file = await open(content.path(digest));
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC_BYTES), 0, MAGIC_BYTES, 0);
    return LAYER_TYPES[detectCompression(buffer.subarray(0, bytesRead))];
  } finally {
    await file.close();
  }
}
