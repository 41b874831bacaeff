/** What is sent of a name's target: all of it, or one platform, or the part that is here. */
import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import type { Content } from "../content/content.ts";
import { isManifestType } from "../oci/media-types.ts";
import { formatPlatform } from "../oci/platform.ts";
import { familiarName, type Reference } from "../oci/reference.ts";
import type { Descriptor, Platform } from "../oci/types.ts";
import { LIMITS, parseManifest } from "../oci/validate.ts";
import type { RemoteManifest, Repository } from "../remote/remote.ts";
import type { Part, Target } from "./images.ts";
import { partFor } from "./resolve.ts";

export interface PushPlan {
  /** In the order in which they are sent: what an index names before the index. The last one gets the tag. */
  readonly manifests: readonly RemoteManifest[];
  readonly blobs: readonly Descriptor[];
  /** The index that is not sent, because only one platform of it is here. */
  readonly insteadOf?: Descriptor | undefined;
}

export interface PushWish {
  readonly reference: Reference;
  readonly target: Target;
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** "not-found" when the platform, or of an index more than can be left out, is not here. */
export async function planPush(content: Content, repository: Repository, wish: PushWish): Promise<PushPlan> {
  const { target, platform } = wish;
  if (platform !== undefined) return await planManifest(content, platformPart(wish, platform));
  if (target.documents.length === 0) return await planManifest(content, target.parts[0] as Part);
  const missing = target.parts.filter(({ available }) => !available);
  if (await allThere(repository, missing, wish)) return await wholeIndex(content, target);
  const images = target.parts.filter(({ kind, available }) => kind === "image" && available);
  if (images.length !== 1) throw incomplete(wish, images);
  return { ...(await planManifest(content, images[0] as Part)), insteadOf: target.descriptor };
}

/** Of an index that came from this repository, the registry has what is not here. */
async function allThere(repository: Repository, parts: readonly Part[], { signal }: PushWish): Promise<boolean> {
  for (const { descriptor } of parts) if (!(await repository.hasManifest(descriptor.digest, signal))) return false;
  return true;
}

function platformPart({ reference, target }: PushWish, platform: Platform): Part {
  const part = partFor(target, platform);
  if (part !== undefined) return part;
  throw new EngineError(
    "not-found",
    `image with reference ${familiarName(reference)} was found but does not provide the specified platform (${formatPlatform(platform)})`,
  );
}

function incomplete({ reference }: PushWish, images: readonly Part[]): EngineError {
  const here = images
    .map(({ descriptor: { platform } }) => (platform ? formatPlatform(platform) : "unknown"))
    .join(", ");
  return new EngineError(
    "not-found",
    `${familiarName(reference)} is not here with all its platforms, only with ${here}`,
    {
      hint: "Choose one by --platform, or pull the image whole (--platform all).",
    },
  );
}

async function wholeIndex(content: Content, target: Target): Promise<PushPlan> {
  const parts = await Promise.all(
    target.parts.filter(({ available }) => available).map((part) => planManifest(content, part)),
  );
  // Inner indexes first.
  const inner = target.documents.filter((digest) => digest !== target.descriptor.digest).toReversed();
  const documents = await Promise.all(inner.map((digest) => readDocument(content, digest)));
  const top = {
    descriptor: target.descriptor,
    bytes: await content.read(target.descriptor.digest, LIMITS.manifestBytes),
  };
  const blobs = new Map(parts.flatMap((part) => part.blobs).map((blob) => [blob.digest, blob]));
  return { manifests: [...parts.flatMap(({ manifests }) => manifests), ...documents, top], blobs: [...blobs.values()] };
}

async function readDocument(content: Content, digest: Digest): Promise<RemoteManifest> {
  const bytes = await content.read(digest, LIMITS.manifestBytes);
  const { mediaType } = JSON.parse(bytes.toString()) as { mediaType?: string };
  return { descriptor: { mediaType: mediaType ?? INDEX, digest, size: bytes.length }, bytes };
}

const INDEX = "application/vnd.oci.image.index.v1+json";

/** One manifest and what it names. */
export async function planManifest(content: Content, { descriptor }: Pick<Part, "descriptor">): Promise<PushPlan> {
  const bytes = await content.read(descriptor.digest, LIMITS.manifestBytes);
  const { mediaType, digest, size } = descriptor;
  const manifest = { descriptor: { mediaType, digest, size }, bytes };
  if (!isManifestType(mediaType)) return { manifests: [manifest], blobs: [] };
  const { config, layers } = parseManifest(bytes, `manifest ${digest}`);
  return { manifests: [manifest], blobs: [...layers, config] };
}
