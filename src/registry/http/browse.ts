/** `/v2/<name>/_gantry/tags/list`: an extension for people who look around: tags with what they stand for, a page at a time. */
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor, Platform } from "../../oci/types.ts";
import { RegistryError } from "../errors.ts";
import type { Storage } from "../storage/open.ts";
import type { Exchange } from "./exchange.ts";
import { linkTo, pageOf } from "./lists.ts";
import { sendJson } from "./reply.ts";

export interface TagSummary {
  readonly tag: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly artifactType?: string | undefined;
  /** Bytes of configuration and layers; of an index, all of its manifests' together. */
  readonly size: number;
  readonly platforms: readonly Platform[];
  /** RFC 3339. */
  readonly pushed: string;
}

const USUAL_PAGE = 100;
/** Tags that are looked at for one answer. */
const PAGE_LIMIT = 500;

export async function browseTags({ storage, response, query, name }: Exchange): Promise<void> {
  if (!(await storage.repositories.exists(name)))
    throw new RegistryError("NAME_UNKNOWN", "repository name not known to registry", { detail: { name } });
  const page = pageOf(await storage.repositories.tags(name), query, { usual: USUAL_PAGE, most: PAGE_LIMIT });
  const tags: TagSummary[] = [];
  for (const tag of page.items) {
    const summary = await summarise(storage, name, tag);
    if (summary !== undefined) tags.push(summary);
  }
  sendJson(response, 200, { name, tags }, linkTo(`/v2/${name}/_gantry/tags/list`, page.next));
}

async function summarise(storage: Storage, name: string, tag: string): Promise<TagSummary | undefined> {
  const record = await storage.repositories.tag(name, tag);
  const manifest = record && (await storage.repositories.manifest(name, record.digest));
  if (record === undefined || manifest === undefined) return undefined;
  const { digest, pushed } = record;
  const document = await readDocument(storage, digest);
  const children = document.manifests ?? [];
  const sizes = await Promise.all(children.map(async (child) => sizeOf(await readDocument(storage, child.digest))));
  return {
    tag,
    digest,
    mediaType: manifest.mediaType,
    artifactType: document.artifactType,
    size: sizes.reduce((sum, size) => sum + size, sizeOf(document)),
    platforms: children.length > 0 ? platformsOf(children) : await ownPlatform(storage, document),
    pushed,
  };
}

interface Document {
  readonly artifactType?: string | undefined;
  readonly config?: Descriptor | undefined;
  readonly layers?: readonly Descriptor[] | undefined;
  readonly manifests?: readonly Descriptor[] | undefined;
}

/** Empty for what is not stored (any more). */
async function readDocument({ blobs }: Storage, digest: string): Promise<Document> {
  const bytes = await blobs.read(digest);
  return bytes === undefined ? {} : (JSON.parse(bytes.toString()) as Document);
}

function sizeOf({ config, layers = [] }: Document): number {
  return layers.reduce((sum, { size }) => sum + size, config?.size ?? 0);
}

function platformsOf(children: readonly Descriptor[]): Platform[] {
  return children.flatMap(({ platform }) => (platform === undefined || platform.os === "unknown" ? [] : [platform]));
}

const CONFIGS: ReadonlySet<string> = new Set([MEDIA.ociConfig, MEDIA.dockerConfig]);
/** Bytes of a configuration that is read for its platform. */
const CONFIG_LIMIT = 1 << 20;

async function ownPlatform(storage: Storage, { config }: Document): Promise<Platform[]> {
  if (config === undefined || !CONFIGS.has(config.mediaType) || config.size > CONFIG_LIMIT) return [];
  const { os, architecture, variant } = (await readDocument(storage, config.digest)) as Partial<Platform>;
  return os === undefined || architecture === undefined ? [] : [{ os, architecture, variant }];
}
