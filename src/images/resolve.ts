import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { formatPlatform, platformMatches } from "../oci/platform.ts";
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
import type { Catalog, ImageRecord } from "./catalog.ts";

/** How a user's text led to an image. */
export interface Resolved {
  readonly record: ImageRecord;
  /** The stored name that it is; undefined when the text is (part of) an id. */
  readonly name: string | undefined;
}

/** Names go before ids. "not-found" with Docker's text; "invalid" for what is neither, and for a prefix of several ids. */
export function resolve(catalog: Catalog, text: string, platform?: Platform | undefined): Resolved {
  const found = byName(catalog, text);
  if (platform !== undefined) checkPlatform(found.record, text, platform);
  return found;
}

function byName(catalog: Catalog, text: string): Resolved {
  const parsed = parseImageName(text);
  if (parsed.kind === "id") {
    const record = catalog.image(parsed.id);
    if (record === undefined) throw noSuchImage(text);
    return { record, name: undefined };
  }
  const name = storedName(catalog, parsed.reference);
  const record = name === undefined ? byPrefix(catalog, text) : catalog.image(name.imageId);
  if (record === undefined) throw noSuchImage(familiarName(withDefaultTag(parsed.reference)));
  return { record, name: name?.name };
}

/** With a digest, the tag only decorates. */
function storedName(catalog: Catalog, reference: Reference) {
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

function checkPlatform({ image }: ImageRecord, text: string, platform: Platform): void {
  if (platformMatches(platform, image.config)) return;
  throw new EngineError(
    "not-found",
    `image with reference ${text} was found but does not match the specified platform: wanted ${formatPlatform(platform)}, actual: ${formatPlatform(image.config)}`,
  );
}
