/** What a name in a registry stands for: the documents read and checked, one platform chosen; nothing is stored yet. */
import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import type { Content } from "../content/content.ts";
import { isImageConfigType, isIndexType } from "../oci/media-types.ts";
import { formatPlatform, HOST_PLATFORM, platformMatches, platformRank } from "../oci/platform.ts";
import type { Descriptor, ImageConfigFile, ImageManifest, Platform } from "../oci/types.ts";
import { LIMITS, parseImageConfig, parseIndex, parseManifest } from "../oci/validate.ts";
import type { RemoteManifest, Repository } from "../remote/remote.ts";
import type { Lease } from "./images.ts";
import { checkLayerCount } from "./plan.ts";

export interface ChosenImage {
  /** What the name stands for: the manifest itself, or an index that has it. */
  readonly top: RemoteManifest;
  /** Between the two, when indexes lie in each other. */
  readonly indexes: readonly RemoteManifest[];
  readonly manifest: RemoteManifest;
  readonly id: Digest;
  readonly config: { readonly bytes: Buffer; readonly file: ImageConfigFile };
  /** Lowest first, one for each diff id. */
  readonly layers: readonly Descriptor[];
}

interface Wish {
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where documents come from: what is stored already is not asked for. */
export interface Documents {
  readonly repository: Repository;
  readonly content: Content;
  /** What is found stays. */
  readonly lease: Lease;
}

/** "not-found" when there is no image of the platform; "invalid" for what is no image. */
export async function chooseImage(
  documents: Documents,
  which: { readonly tag: string } | { readonly digest: Digest },
  { platform, signal }: Wish,
): Promise<ChosenImage> {
  const top = await documents.repository.manifest(which, signal);
  const indexes: RemoteManifest[] = [];
  let manifest = top;
  while (isIndexType(manifest.descriptor.mediaType)) {
    indexes.push(manifest);
    if (indexes.length > LIMITS.indexDepth)
      throw new EngineError("invalid", `indexes lie more than ${LIMITS.indexDepth} deep in each other`);
    const child = bestOf(manifest, platform);
    manifest = await childManifest(documents, child, signal);
  }
  const parsed = parseManifest(manifest.bytes, `manifest ${manifest.descriptor.digest}`);
  const config = await readConfig(documents, parsed, manifest.descriptor, signal);
  checkLayerCount(config.file, parsed.layers.length);
  return { top, indexes, manifest, id: parsed.config.digest, config, layers: parsed.layers };
}

/** Attestations and the like stand beside the images of an index, for no platform. */
function bestOf({ bytes, descriptor }: RemoteManifest, wanted: Platform | undefined): Descriptor {
  const { manifests } = parseIndex(bytes, `index ${descriptor.digest}`);
  const images = manifests.filter(
    ({ platform, annotations }) =>
      annotations?.["vnd.docker.reference.type"] === undefined && platform?.os !== "unknown",
  );
  const ranked = images
    .filter(({ platform }) => platform === undefined || wanted === undefined || platformMatches(wanted, platform))
    .map((image) => ({ image, rank: platformRank(wanted ?? HOST_PLATFORM, image.platform ?? HOST_PLATFORM) }))
    .filter(({ rank }) => rank > 0)
    .sort((a, b) => b.rank - a.rank);
  const best = ranked[0]?.image;
  if (best !== undefined) return best;
  throw new EngineError(
    "not-found",
    `no matching manifest for ${formatPlatform(wanted ?? HOST_PLATFORM)} in the manifest list entries`,
    {
      hint: `There is: ${[...new Set(images.map(({ platform }) => (platform ? formatPlatform(platform) : "unknown")))].join(", ")}.`,
    },
  );
}

async function childManifest(
  documents: Documents,
  child: Descriptor,
  signal: AbortSignal | undefined,
): Promise<RemoteManifest> {
  const { mediaType, digest, size } = child;
  const stored = await storedDocument(documents, child, LIMITS.manifestBytes);
  if (stored !== undefined) return { descriptor: { mediaType, digest, size }, bytes: stored };
  const found = await documents.repository.manifest({ digest }, signal);
  if (found.bytes.length === size) return found;
  throw new EngineError("invalid", `manifest ${digest} has ${found.bytes.length} bytes, its index says ${size}`);
}

/** Undefined when it is not stored. */
async function storedDocument(
  { content, lease }: Documents,
  { digest, size }: Descriptor,
  limit: number,
): Promise<Buffer | undefined> {
  await lease.hold([digest]);
  return content.info(digest)?.size === size ? await content.read(digest, limit) : undefined;
}

async function readConfig(
  documents: Documents,
  { config }: ImageManifest,
  manifest: Descriptor,
  signal: AbortSignal | undefined,
): Promise<{ bytes: Buffer; file: ImageConfigFile }> {
  const what = `configuration ${config.digest}`;
  if (!isImageConfigType(config.mediaType))
    throw new EngineError(
      "invalid",
      `manifest ${manifest.digest} is no image: its configuration is ${config.mediaType || "of no type"}`,
      {
        hint: "Artifacts that are no images (charts, modules, signatures) are fetched by the tools that made them.",
      },
    );
  if (config.size > LIMITS.configBytes)
    throw new EngineError("invalid", `${what} has ${config.size} bytes, at most ${LIMITS.configBytes} are accepted`);
  const bytes =
    (await storedDocument(documents, config, LIMITS.configBytes)) ?? (await fetchDocument(documents, config, signal));
  return { bytes, file: parseImageConfig(bytes, what) };
}

async function fetchDocument(
  { repository }: Documents,
  blob: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const sink = { offset: 0, write: async (chunk: Uint8Array) => void chunks.push(Buffer.from(chunk)) };
  await repository.fetch(blob, sink, { signal });
  const bytes = Buffer.concat(chunks);
  const { algorithm } = parseDigest(blob.digest);
  const actual = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
  if (actual === blob.digest) return bytes;
  throw new EngineError(
    "invalid",
    `configuration ${blob.digest} has the digest ${actual}: the registry's answer is not what was asked for`,
  );
}
