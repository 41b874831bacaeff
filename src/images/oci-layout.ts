import { EngineError } from "../base/errors.ts";
import type { Content } from "../content/content.ts";
import { MEDIA } from "../oci/media-types.ts";
import { formatPlatform, HOST_PLATFORM, platformMatches, platformRank } from "../oci/platform.ts";
import { type Reference, tryParseReference } from "../oci/reference.ts";
import type { Descriptor, Platform } from "../oci/types.ts";
import { LIMITS, parseImageConfig, parseIndex, parseManifest } from "../oci/validate.ts";
import { DOCKER_MANIFEST, dockerNames } from "./docker-archive.ts";
import { checkLayerCount, type PlannedImage, uniqueReferences } from "./plan.ts";
import type { Spool } from "./spool.ts";

export const OCI_LAYOUT = "oci-layout";
export const OCI_INDEX = "index.json";
export const NAME_ANNOTATION = "io.containerd.image.name";
export const REF_ANNOTATION = "org.opencontainers.image.ref.name";

interface Candidate {
  readonly manifest: Descriptor;
  readonly platform: Platform | undefined;
}

/** One thing to load: a name (or none) and the manifests, one per platform, that it may stand for. */
interface Group {
  readonly names: Reference[];
  readonly candidates: Candidate[];
}

/**
 * The images of an OCI layout. Of an image with several platforms the one that is wanted is taken, else the one that fits the
 * host best. When the archive is a Docker archive too, tags that only manifest.json has are added.
 */
export async function planOciLayout(
  spool: Spool,
  content: Content,
  wanted: Platform | undefined,
): Promise<PlannedImage[]> {
  const index = parseIndex(await spool.bytes(OCI_INDEX, LIMITS.manifestBytes), OCI_INDEX);
  const groups = await groupByName(index.manifests, spool);
  const planned = new Map<string, PlannedImage>();
  for (const { names, candidates } of groups) {
    const image = await planBest(candidates, wanted, spool, content);
    const before = planned.get(image.manifest.digest);
    planned.set(image.manifest.digest, { ...image, names: uniqueReferences([...(before?.names ?? []), ...names]) });
  }
  const extra = spool.has(DOCKER_MANIFEST) ? await dockerNames(spool) : new Map<string, readonly Reference[]>();
  return [...planned.values()].map((image) => {
    const more = extra.get(`blobs/${image.id.replace(":", "/")}`) ?? [];
    return { ...image, names: uniqueReferences([...image.names, ...more]) };
  });
}

/** Manifests of one name, and those without a name that say their platform, are variants of one image. */
async function groupByName(manifests: readonly Descriptor[], spool: Spool): Promise<Group[]> {
  const groups = new Map<string, Group>();
  for (const [at, descriptor] of manifests.entries()) {
    const names = namesOf(descriptor);
    const isVariant = descriptor.platform !== undefined && !isIndex(descriptor);
    const raw = descriptor.annotations?.[NAME_ANNOTATION] ?? descriptor.annotations?.[REF_ANNOTATION];
    const key = isVariant ? `variant of ${raw ?? ""}` : `${at}`;
    const group = groups.get(key) ?? { names, candidates: [] };
    groups.set(key, group);
    group.candidates.push(...(await expand(descriptor, spool, 0)));
  }
  return [...groups.values()].filter(({ candidates }) => candidates.length > 0);
}

/** A full name; a bare "latest" names no repository and so no image here. */
function namesOf({ annotations }: Descriptor): Reference[] {
  const full = annotations?.[NAME_ANNOTATION];
  const ref = annotations?.[REF_ANNOTATION];
  const text = full ?? (ref !== undefined && /[/:]/.test(ref) ? ref : undefined);
  const reference = text === undefined ? undefined : tryParseReference(text);
  return reference === undefined || reference.digest !== undefined ? [] : [reference];
}

function isIndex({ mediaType }: Descriptor): boolean {
  return mediaType === MEDIA.ociIndex || mediaType === MEDIA.dockerList;
}

/** The image manifests below a descriptor that the archive really has; attestations and the like left out. */
async function expand(descriptor: Descriptor, spool: Spool, depth: number): Promise<Candidate[]> {
  if (depth > LIMITS.indexDepth)
    throw new EngineError("invalid", `invalid archive: indexes lie more than ${LIMITS.indexDepth} deep in each other`);
  if (!spool.has(blobPath(descriptor)) && depth > 0) return [];
  if (!isIndex(descriptor)) return isImage(descriptor) ? [{ manifest: descriptor, platform: descriptor.platform }] : [];
  const index = parseIndex(await document(descriptor, spool), `index ${descriptor.digest}`);
  const found: Candidate[] = [];
  for (const child of index.manifests) {
    found.push(...(await expand(child, spool, depth + 1)));
    if (found.length > LIMITS.manifests)
      throw new EngineError("invalid", `invalid archive: more than ${LIMITS.manifests} manifests`);
  }
  return found;
}

function isImage({ mediaType, platform, annotations }: Descriptor): boolean {
  if (annotations?.["vnd.docker.reference.type"] !== undefined || platform?.os === "unknown") return false;
  return mediaType === MEDIA.ociManifest || mediaType === MEDIA.dockerManifest || mediaType === "";
}

async function planBest(
  candidates: readonly Candidate[],
  wanted: Platform | undefined,
  spool: Spool,
  content: Content,
): Promise<PlannedImage> {
  const known = await Promise.all(candidates.map((candidate) => withPlatform(candidate, spool)));
  const fitting = known.filter(({ platform }) => wanted === undefined || platformMatches(wanted, platform));
  if (fitting.length === 0) throw platformMissing(wanted);
  const [best] = fitting.sort(
    (a, b) => platformRank(HOST_PLATFORM, b.platform) - platformRank(HOST_PLATFORM, a.platform),
  );
  return await planManifest((best as Candidate).manifest, spool, content);
}

export function platformMissing(wanted: Platform | undefined): EngineError {
  const name = wanted === undefined ? "any" : formatPlatform(wanted);
  return new EngineError("not-found", `requested platform (${name}) not found: image might be filtered out`);
}

/** What the descriptor does not say the configuration does. */
async function withPlatform(candidate: Candidate, spool: Spool): Promise<{ manifest: Descriptor; platform: Platform }> {
  const { manifest, platform } = candidate;
  if (platform !== undefined && platform.os !== "" && platform.architecture !== "") return { manifest, platform };
  const { config } = parseManifest(await document(manifest, spool), `manifest ${manifest.digest}`);
  return { manifest, platform: parseImageConfig(await document(config, spool, LIMITS.configBytes)) };
}

async function planManifest(descriptor: Descriptor, spool: Spool, content: Content): Promise<PlannedImage> {
  const what = `manifest ${descriptor.digest}`;
  const manifestBytes = await document(descriptor, spool);
  const parsed = parseManifest(manifestBytes, what);
  if (!CONFIG_TYPES.has(parsed.config.mediaType))
    throw new EngineError("invalid", `invalid ${what}: ${parsed.config.mediaType} is not an image's configuration`);
  const configBytes = await document(parsed.config, spool, LIMITS.configBytes);
  const config = parseImageConfig(configBytes, `configuration ${parsed.config.digest}`);
  checkLayerCount(config, parsed.layers.length);
  const layers = [];
  for (const layer of parsed.layers) layers.push(await storeLayer(layer, spool, content));
  const mediaType = parsed.mediaType ?? (descriptor.mediaType || MEDIA.ociManifest);
  const manifest = { mediaType, digest: descriptor.digest, size: manifestBytes.length };
  return { id: parsed.config.digest, config, configBytes, manifest, manifestBytes, layers, names: [], canonical: true };
}

const CONFIG_TYPES = new Set<string>([MEDIA.ociConfig, MEDIA.dockerConfig]);

/** A layer that the archive left out may be stored already. */
async function storeLayer(layer: Descriptor, spool: Spool, content: Content) {
  const path = blobPath(layer);
  const stored = spool.has(path) ? await spool.store(path) : content.info(layer.digest);
  if (stored === undefined) throw new EngineError("invalid", `invalid archive: it has no file ${JSON.stringify(path)}`);
  checkSize(layer, stored.size);
  return { digest: layer.digest, size: stored.size };
}

async function document(descriptor: Descriptor, spool: Spool, limit: number = LIMITS.manifestBytes): Promise<Buffer> {
  const bytes = await spool.bytes(blobPath(descriptor), limit);
  checkSize(descriptor, bytes.length);
  return bytes;
}

function checkSize({ digest, size }: Descriptor, actual: number): void {
  if (size !== actual)
    throw new EngineError("invalid", `invalid archive: blob ${digest} has ${actual} bytes, expected ${size}`);
}

function blobPath({ digest }: Descriptor): string {
  return `blobs/${digest.replace(":", "/")}`;
}
