import { EngineError } from "../base/errors.ts";
import type { Content } from "../content/content.ts";
import { platformMatches } from "../oci/platform.ts";
import { parseReference, type Reference } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import { LIMITS, parseImageConfig, parseJson } from "../oci/validate.ts";
import {
  checkLayerCount,
  layerMediaType,
  makeManifest,
  type PlannedTarget,
  platformMissing,
  uniqueReferences,
} from "./plan.ts";
import type { Spool } from "./spool.ts";

export const DOCKER_MANIFEST = "manifest.json";

interface DockerEntry {
  readonly config: string;
  readonly layers: readonly string[];
  readonly names: readonly Reference[];
}

/**
 * The images of `docker save`'s format: a list in manifest.json of configurations, tags and layer files. With platforms those of
 * them; "not-found" when there is none.
 */
export async function planDockerArchive(
  spool: Spool,
  content: Content,
  wanted: readonly Platform[],
): Promise<PlannedTarget[]> {
  const entries = await readEntries(spool);
  const planned: PlannedTarget[] = [];
  for (const entry of entries) {
    const target = await planEntry(entry, spool, content, wanted);
    if (target !== undefined) planned.push(target);
  }
  if (planned.length === 0 && entries.length > 0) throw platformMissing(wanted);
  return planned;
}

/** The tags of manifest.json by the path of their configuration. */
export async function dockerNames(spool: Spool): Promise<ReadonlyMap<string, readonly Reference[]>> {
  return new Map((await readEntries(spool)).map(({ config, names }) => [config, names]));
}

async function readEntries(spool: Spool): Promise<DockerEntry[]> {
  const bytes = await spool.bytes(DOCKER_MANIFEST, LIMITS.manifestBytes);
  const list = parseJson(bytes, DOCKER_MANIFEST, LIMITS.manifestBytes);
  if (!Array.isArray(list) || list.length > LIMITS.manifests)
    throw new EngineError(
      "invalid",
      `invalid ${DOCKER_MANIFEST}: expected an array of at most ${LIMITS.manifests} images`,
    );
  return list.map((item, at) => readEntry(item, `${DOCKER_MANIFEST}: [${at}]`));
}

function readEntry(item: unknown, what: string): DockerEntry {
  const { Config, RepoTags, Layers } = (item ?? {}) as Record<string, unknown>;
  if (typeof Config !== "string" || Config === "") throw new EngineError("invalid", `invalid ${what}.Config`);
  const layers = stringList(Layers, `${what}.Layers`);
  if (layers.length > LIMITS.layers)
    throw new EngineError("invalid", `invalid ${what}.Layers: more than ${LIMITS.layers} layers`);
  return { config: Config, layers, names: stringList(RepoTags, `${what}.RepoTags`).map(parseRepoTag) };
}

function stringList(value: unknown, what: string): string[] {
  const list = value ?? [];
  if (!Array.isArray(list) || !list.every((item) => typeof item === "string"))
    throw new EngineError("invalid", `invalid ${what}: expected an array of strings`);
  return list;
}

function parseRepoTag(text: string): Reference {
  const reference = parseReference(text);
  if (reference.tag === undefined || reference.digest !== undefined)
    throw new EngineError("invalid", `invalid tag ${JSON.stringify(text)}`);
  return reference;
}

async function planEntry(
  entry: DockerEntry,
  spool: Spool,
  content: Content,
  wanted: readonly Platform[],
): Promise<PlannedTarget | undefined> {
  const configBytes = await spool.bytes(entry.config, LIMITS.configBytes);
  const config = parseImageConfig(configBytes, entry.config);
  if (wanted.length > 0 && !wanted.some((platform) => platformMatches(platform, config))) return undefined;
  checkLayerCount(config, entry.layers.length);
  const layers = [];
  for (const path of entry.layers) {
    const { digest, size } = await spool.store(path);
    layers.push({ digest, size, mediaType: await layerMediaType(content, digest) });
  }
  const { manifest, manifestBytes } = makeManifest(await spool.put(configBytes), layers);
  await spool.put(manifestBytes);
  return { target: manifest, names: uniqueReferences(entry.names), canonical: false };
}
