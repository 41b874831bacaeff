/** From a pushed manifest's bytes to what the registry must know of it. Fields it does not know are left alone. */
import { isDigest } from "../base/digest.ts";
import { errorMessage } from "../base/errors.ts";
import { MEDIA } from "../oci/media-types.ts";
import { LIMITS, parseJsonObject } from "../oci/validate.ts";
import { RegistryError } from "./errors.ts";
import { checkAnyDigest } from "./names.ts";

/** Bytes: what the specification asks for at least. */
export const MANIFEST_LIMIT = LIMITS.manifestBytes;
/** Descriptors in one manifest. */
const DESCRIPTOR_LIMIT = 20_000;

/** Of OCI's release candidates; some signing tools still push it. */
const ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json";

/** Where each kind of manifest names blobs and manifests. */
const KINDS: ReadonlyMap<string, { readonly blobs: readonly string[]; readonly manifests: readonly string[] }> =
  new Map([
    [MEDIA.ociManifest, { blobs: ["config", "layers"], manifests: [] }],
    [MEDIA.dockerManifest, { blobs: ["config", "layers"], manifests: [] }],
    [MEDIA.ociIndex, { blobs: [], manifests: ["manifests"] }],
    [MEDIA.dockerList, { blobs: [], manifests: ["manifests"] }],
    [ARTIFACT, { blobs: ["blobs"], manifests: [] }],
  ]);

export interface ManifestFacts {
  readonly mediaType: string;
  /** Digests that the repository must have. */
  readonly blobs: readonly string[];
  readonly manifests: readonly string[];
  /** Bytes of those blobs, as the manifest says, by digest. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Digests of layers that are kept elsewhere, by their `urls` or their kind; the repository may have them. */
  readonly foreign: readonly string[];
  readonly subject: string | undefined;
  /** As the list of referrers shows it. */
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** `contentType` without its parameters; "" when the client sent none. Throws MANIFEST_INVALID. */
export function readManifest(bytes: Uint8Array, contentType: string): ManifestFacts {
  const json = parse(bytes);
  const mediaType = kindOf(json, contentType);
  const kind = KINDS.get(mediaType);
  if (kind === undefined) throw bad(`manifests of the type ${quote(mediaType)} are not supported`);
  const blobs = kind.blobs.flatMap((field) => descriptors(json, field));
  const isForeign = ({ json: descriptor }: Found) => FOREIGN.test(String(descriptor.mediaType)) || hasUrls(descriptor);
  const own = blobs.filter((found) => !isForeign(found));
  return {
    mediaType,
    blobs: own.map(({ digest }) => digest),
    sizes: new Map(own.map(({ digest, json: { size } }) => [digest, size as number])),
    foreign: blobs.filter(isForeign).map(({ digest }) => digest),
    manifests: kind.manifests.flatMap((field) => descriptors(json, field)).map(({ digest }) => digest),
    subject: json.subject == null ? undefined : descriptor(json.subject, "subject").digest,
    artifactType: artifactType(json, mediaType),
    annotations: annotations(json.annotations),
  };
}

const SCHEMA_1 = /\.docker\.distribution\.manifest\.v1\+/;

/** Layers that are not to be distributed. */
const FOREIGN = /\.foreign\.|\.nondistributable\./;

const hasUrls = (descriptor: Json): boolean => Array.isArray(descriptor.urls) && descriptor.urls.length > 0;

function parse(bytes: Uint8Array): Json {
  try {
    return parseJsonObject(bytes, "manifest", MANIFEST_LIMIT);
  } catch (error) {
    throw bad(errorMessage(error));
  }
}

/** The document's own word, else the client's, else by its shape. Throws when two of them disagree. */
function kindOf(json: Json, contentType: string): string {
  if (json.schemaVersion === 1 || SCHEMA_1.test(contentType))
    throw bad("manifests of schema version 1 are not supported", "push the image again with a newer client");
  const own = typeof json.mediaType === "string" ? json.mediaType : "";
  if (own !== "" && contentType !== "" && own !== contentType)
    throw bad(`the manifest's media type is ${quote(own)}, but it was sent as ${quote(contentType)}`);
  const kind = own || contentType || (Array.isArray(json.manifests) ? MEDIA.ociIndex : MEDIA.ociManifest);
  if (kind !== ARTIFACT && json.schemaVersion !== 2)
    throw bad(`schema version ${quote(json.schemaVersion)}, expected 2`);
  return kind;
}

interface Found {
  readonly digest: string;
  readonly json: Json;
}

function descriptors(json: Json, field: string): Found[] {
  const value = json[field];
  if (value == null && (field === "blobs" || field === "layers")) return [];
  if (field === "config") return [descriptor(value, field)];
  if (!Array.isArray(value)) throw bad(`${field} is not an array`);
  if (value.length > DESCRIPTOR_LIMIT) throw bad(`${field} has ${value.length} members, at most ${DESCRIPTOR_LIMIT}`);
  return value.map((item, at) => descriptor(item, `${field}[${at}]`));
}

function descriptor(value: unknown, where: string): Found {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad(`${where} is not a descriptor`);
  const json = value as Json;
  if (typeof json.digest !== "string") throw bad(`${where} has no digest`);
  const { size } = json;
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw bad(`${where} has the size ${quote(size)}`);
  try {
    return { digest: isDigest(json.digest) ? json.digest : checkAnyDigest(json.digest), json };
  } catch (error) {
    throw bad(`${where}: ${errorMessage(error)}`);
  }
}

/** Distribution specification, "Listing Referrers": an image manifest without one shows its configuration's type, an index none. */
function artifactType(json: Json, mediaType: string): string | undefined {
  const own = typeof json.artifactType === "string" && json.artifactType !== "" ? json.artifactType : undefined;
  if (own !== undefined || KINDS.get(mediaType)?.manifests.length !== 0) return own;
  const type = (json.config as Json | undefined)?.mediaType;
  return typeof type === "string" ? type : undefined;
}

function annotations(value: unknown): Readonly<Record<string, string>> | undefined {
  if (value == null) return undefined;
  if (typeof value !== "object" || Array.isArray(value)) throw bad("annotations are not an object");
  for (const [key, item] of Object.entries(value))
    if (typeof item !== "string") throw bad(`the annotation ${quote(key)} is not a string`);
  return value as Readonly<Record<string, string>>;
}

function bad(message: string, hint?: string): RegistryError {
  return new RegistryError("MANIFEST_INVALID", `manifest invalid: ${message.replace(/^invalid manifest: /, "")}`, {
    hint,
  });
}

function quote(value: unknown): string {
  return (JSON.stringify(value) ?? "undefined").slice(0, 200);
}
