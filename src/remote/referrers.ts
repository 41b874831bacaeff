/** What a repository says about one of its manifests: by the referrers API, or where a registry has none by the tag that stands in for it. */
import { type Digest, isDigest, parseDigest } from "../base/digest.ts";
import { EngineError, errorKind } from "../base/errors.ts";
import { MEDIA } from "../oci/media-types.ts";
import type { Descriptor } from "../oci/types.ts";
import { LIMITS, parseJsonObject } from "../oci/validate.ts";
import { discard, readBody } from "./http.ts";
import { fetchManifest } from "./manifests.ts";
import { registryError } from "./registry-error.ts";
import type { Session } from "./session.ts";
import { nextPage } from "./tags.ts";

/** A registry that never ends its list. */
const PAGES = 1_000;

export async function listReferrers(
  session: Session,
  subject: Digest,
  signal: AbortSignal | undefined,
): Promise<Descriptor[]> {
  const { path, host } = session.endpoint;
  const what = `the referrers of ${subject} in ${host}/${path}`;
  const found: Descriptor[] = [];
  let next: string | URL | undefined = `${path}/referrers/${subject}`;
  for (let page = 0; next !== undefined; page++) {
    if (page === PAGES) throw new EngineError("invalid", `the list of ${what} does not end`);
    const answer = await session.send({ method: "GET", path: next, headers: { Accept: MEDIA.ociIndex }, signal });
    if (answer.status === 404) {
      await discard(answer);
      return await byTag(session, subject, signal);
    }
    if (answer.status !== 200) throw await registryError(answer, `listing ${what}`);
    found.push(...descriptorsOf(await readBody(answer, LIMITS.manifestBytes, what), what));
    next = nextPage(answer);
  }
  return found;
}

async function byTag(session: Session, subject: Digest, signal: AbortSignal | undefined): Promise<Descriptor[]> {
  const { algorithm, hex } = parseDigest(subject);
  const tag = `${algorithm}-${hex.slice(0, 64)}`;
  try {
    const { bytes, descriptor } = await fetchManifest(session, tag, signal);
    return descriptor.mediaType === MEDIA.ociIndex ? descriptorsOf(bytes, tag) : [];
  } catch (error) {
    if (errorKind(error) === "not-found") return [];
    throw error;
  }
}

/** What is no descriptor is left out. */
function descriptorsOf(bytes: Buffer, what: string): Descriptor[] {
  const { manifests } = parseJsonObject(bytes, what, LIMITS.manifestBytes);
  if (manifests != null && !Array.isArray(manifests)) throw new EngineError("invalid", `${what} are no list`);
  return (manifests ?? []).flatMap((item: unknown) => {
    if (typeof item !== "object" || item === null) return [];
    const { mediaType, digest, size, artifactType, annotations } = item as Record<string, unknown>;
    if (typeof mediaType !== "string" || typeof digest !== "string" || !isDigest(digest)) return [];
    if (!Number.isSafeInteger(size)) return [];
    return [
      {
        mediaType,
        digest,
        size: size as number,
        ...(typeof artifactType === "string" && { artifactType }),
        ...(isTexts(annotations) && { annotations }),
      },
    ];
  });
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return typeof value === "object" && value !== null && Object.values(value).every((text) => typeof text === "string");
}
