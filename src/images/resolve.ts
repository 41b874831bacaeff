import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { formatPlatform, platformMatches, platformRank } from "../oci/platform.ts";
import {
  familiarName,
  idPrefix,
  normalisedName,
  parseImageName,
  type Reference,
  repositoryOf,
  withDefaultTag,
} from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import type { Catalog } from "./catalog.ts";
import type { Part, Target } from "./images.ts";
import type { ImageRecord, NameRecord } from "./rows.ts";

/** How a user's text led to an image. */
export interface Resolved {
  readonly record: ImageRecord;
  /** What the name points to; of an id the newest target that shows it, or for one that none shows, its part of one. */
  readonly target: Target;
  /** The stored name that it is; undefined when the text is (part of) an id. */
  readonly name: string | undefined;
}

/**
 * Names go before ids. With a platform the target's image of it. "not-found" with Docker's texts; "invalid" for what is neither
 * a name nor an id, and for a prefix of several ids.
 */
export function resolve(catalog: Catalog, text: string, platform?: Platform | undefined): Resolved {
  const found = byName(catalog, text);
  if (platform === undefined) return found;
  const part = partFor(found.target, platform);
  const record = part?.image === undefined ? undefined : catalog.image(part.image);
  if (record === undefined) throw platformMismatch(found, text, platform);
  return { ...found, record };
}

/** The available image of a target that serves the wish best. */
export function partFor({ parts }: Target, platform: Platform): Part | undefined {
  const rank = ({ descriptor }: Part) => platformRank(platform, descriptor.platform ?? platform);
  const fitting = parts.filter(
    ({ image, descriptor }) => image !== undefined && platformMatches(platform, descriptor.platform ?? platform),
  );
  return fitting.sort((a, b) => rank(b) - rank(a))[0];
}

function byName(catalog: Catalog, text: string): Resolved {
  const parsed = parseImageName(text);
  if (parsed.kind === "id") {
    const record = catalog.image(parsed.id);
    if (record === undefined) throw noSuchImage(text);
    return byId(catalog, record);
  }
  const name = storedName(catalog, parsed.reference);
  if (name !== undefined) return named(catalog, name);
  const record = byPrefix(catalog, text);
  if (record === undefined) throw noSuchImage(familiarName(withDefaultTag(parsed.reference)));
  return byId(catalog, record);
}

function named(catalog: Catalog, name: NameRecord): Resolved {
  const record = catalog.image(name.imageId);
  const target = catalog.target(name.target.digest);
  if (record === undefined || target === undefined)
    throw new EngineError("internal", `the name ${name.name} points to nothing`);
  return { record, target, name: name.name };
}

function byId(catalog: Catalog, record: ImageRecord): Resolved {
  const { id } = record.image;
  return { record, target: catalog.targetsOf(id)[0] ?? imageAlone(catalog.targetsWith(id), id), name: undefined };
}

/** A target of the image alone, out of one that has it among others. */
export function imageAlone(targets: readonly Target[], imageId: Digest): Target {
  const part = targets.flatMap(({ parts }) => parts).find(({ image }) => image === imageId);
  if (part === undefined) throw new EngineError("internal", `nothing points to the image ${imageId}`);
  const { mediaType, digest, size } = part.descriptor;
  return { descriptor: { mediaType, digest, size }, imageId, documents: [], parts: [part] };
}

/** With a digest, the tag only decorates. */
function storedName(catalog: Catalog, reference: Reference): NameRecord | undefined {
  if (reference.digest === undefined) return catalog.name(normalisedName(withDefaultTag(reference)));
  return catalog.name(`${repositoryOf(reference)}@${reference.digest}`);
}

function byPrefix(catalog: Catalog, text: string): ImageRecord | undefined {
  const hex = idPrefix(text);
  const ids: Digest[] = hex === undefined ? [] : catalog.idsWithPrefix(hex);
  if (ids.length > 1) throw new EngineError("invalid", `multiple IDs found with provided prefix: ${text}`);
  return ids[0] === undefined ? undefined : catalog.image(ids[0]);
}

export function noSuchImage(name: string): EngineError {
  return new EngineError("not-found", `No such image: ${name}`);
}

function platformMismatch({ record, target }: Resolved, text: string, platform: Platform): EngineError {
  const wanted = formatPlatform(platform);
  if (target.documents.length > 0 || record.kind === "artifact")
    return new EngineError(
      "not-found",
      `image with reference ${text} was found but does not provide the specified platform (${wanted})`,
    );
  return new EngineError(
    "not-found",
    `image with reference ${text} was found but its platform (${formatPlatform(record.image.config)}) does not match the specified platform (${wanted})`,
  );
}

export function notRunnable(text: string, { descriptor, parts }: Target): EngineError {
  const type = descriptor.artifactType ?? parts[0]?.descriptor.artifactType ?? descriptor.mediaType;
  return new EngineError("invalid", `${text} is an artifact (${type}), not an image that can run`);
}
