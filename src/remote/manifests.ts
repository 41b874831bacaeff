/** Fetching a manifest: bounded, hashed, and of a kind that we know. */
import { createHash } from "node:crypto";
import { type Digest, digestOf, isDigest, parseDigest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { MEDIA } from "../oci/media-types.ts";
import { LIMITS, parseJsonObject } from "../oci/validate.ts";
import { discard, type HttpAnswer, readBody } from "./http.ts";
import { registryError } from "./registry-error.ts";
import type { RemoteManifest } from "./remote.ts";
import type { Session } from "./session.ts";

const KNOWN = [MEDIA.ociIndex, MEDIA.dockerList, MEDIA.ociManifest, MEDIA.dockerManifest] as const;
/** Asked for too, so that what is too old is told apart from what is not there. */
const SCHEMA1 = [
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
  "application/vnd.docker.distribution.manifest.v1+json",
];
export const ACCEPT = [...KNOWN, ...SCHEMA1.map((type) => `${type};q=0.5`), "*/*;q=0.1"].join(", ");

export async function fetchManifest(
  session: Session,
  which: string,
  signal: AbortSignal | undefined,
): Promise<RemoteManifest> {
  const { path, host } = session.endpoint;
  const what = `manifest ${which} of ${host}/${path}`;
  const answer = await session.send({
    method: "GET",
    path: `${path}/manifests/${which}`,
    headers: { Accept: ACCEPT },
    signal,
  });
  if (answer.status !== 200) throw await registryError(answer, `reading ${what}`);
  refusePage(answer, what);
  const bytes = await readBody(answer, LIMITS.manifestBytes, what);
  const digest = checkDigest(bytes, which, answer.headers["docker-content-digest"], what);
  return { descriptor: { mediaType: mediaTypeOf(bytes, answer, what), digest, size: bytes.length }, bytes };
}

export async function hasManifest(session: Session, digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
  const path = `${session.endpoint.path}/manifests/${digest}`;
  const answer = await session.send({ method: "HEAD", path, headers: { Accept: ACCEPT }, signal });
  if (answer.status !== 200 && answer.status !== 404)
    throw await registryError(answer, `asking for manifest ${digest}`);
  await discard(answer);
  return answer.status === 200;
}

/** "invalid" when the registry says that it stored something else. */
export async function putManifest(
  session: Session,
  which: string,
  { descriptor, bytes }: RemoteManifest,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { path, host } = session.endpoint;
  const answer = await session.send({
    method: "PUT",
    path: `${path}/manifests/${which}`,
    headers: { "Content-Type": descriptor.mediaType, "Content-Length": String(bytes.length) },
    body: () => bytes,
    patience: 300_000,
    signal,
  });
  if (answer.status < 200 || answer.status > 202)
    throw await registryError(answer, `storing manifest ${which} in ${host}/${path}`);
  await discard(answer);
  const claimed = answer.headers["docker-content-digest"];
  if (claimed?.startsWith("sha256:") && claimed !== descriptor.digest)
    throw new EngineError(
      "invalid",
      `${host} stored manifest ${descriptor.digest} as ${JSON.stringify(claimed.slice(0, 200))}`,
    );
}

function refusePage({ headers, url, body }: HttpAnswer, what: string): void {
  if (headers["content-type"]?.startsWith("text/html") !== true) return;
  body.destroy();
  throw new EngineError("invalid", `${url.host} answered with a web page instead of ${what}`, {
    hint: "Is it a registry? A proxy or a login page may stand before it.",
  });
}

/** The digest that was asked for, and the one that the registry claims, must be the bytes' own. */
function checkDigest(bytes: Buffer, which: string, claimed: string | undefined, what: string): Digest {
  const wanted = isDigest(which) ? which : undefined;
  const actual = wanted === undefined ? digestOf(bytes) : hashAs(wanted, bytes);
  if (wanted !== undefined && wanted !== actual)
    throw new EngineError("invalid", `${what} has digest ${actual}: the registry's answer is not what was asked for`);
  if (claimed !== undefined && isDigest(claimed) && hashAs(claimed, bytes) !== claimed)
    throw new EngineError("invalid", `${what} has digest ${actual}, the registry says ${claimed}`);
  return actual;
}

function hashAs(digest: Digest, bytes: Buffer): Digest {
  const { algorithm } = parseDigest(digest);
  return algorithm === "sha256" ? digestOf(bytes) : `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** The document's own word goes before the header's. */
function mediaTypeOf(bytes: Buffer, { headers, url }: HttpAnswer, what: string): string {
  const json = parseJsonObject(bytes, what, LIMITS.manifestBytes);
  const header = headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (json.schemaVersion === 1 || SCHEMA1.includes(header)) throw tooOld(what);
  const own = typeof json.mediaType === "string" ? json.mediaType : undefined;
  const type = own ?? (KNOWN.some((known) => known === header) ? header : guessed(json));
  if (KNOWN.some((known) => known === type)) return type;
  throw new EngineError(
    "invalid",
    `${url.host} answered with ${JSON.stringify(type.slice(0, 200))} instead of ${what}`,
  );
}

function guessed(json: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(json.manifests)) return MEDIA.ociIndex;
  return json.config !== undefined ? MEDIA.ociManifest : "an unknown document";
}

function tooOld(what: string): EngineError {
  return new EngineError("invalid", `${what} has the format schema 1, which is not supported any more`, {
    hint: "Push the image again with a Docker from 1.10 on.",
  });
}
