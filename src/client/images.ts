import type * as Wire from "../api/types/image.ts";
import { parsePlatform } from "../oci/platform.ts";
import type { Filters } from "./containers.ts";
import type { Response } from "./http.ts";
import { authHeader, type ProgressMessage, progress } from "./progress.ts";
import type { Transport } from "./transport.ts";

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated: boolean;
}

/** A manifest as a registry has it. */
export interface RegistryManifest {
  /** Normalised. */
  readonly Ref: string;
  /** With the platform, for a single image. */
  readonly Descriptor: Wire.OCIDescriptor;
  /** Base64. */
  readonly Raw: string;
}

export interface RegistryOptions {
  readonly auth?: string | undefined;
  readonly insecure?: boolean | undefined;
}

export interface ImagesClient {
  list(options?: {
    readonly all?: boolean | undefined;
    readonly filters?: Filters | undefined;
    readonly sharedSize?: boolean | undefined;
    readonly digests?: boolean | undefined;
    readonly manifests?: boolean | undefined;
  }): Promise<Wire.ImageSummary[]>;
  inspect(name: string, platform?: string): Promise<Wire.ImageInspect>;
  inspectText(name: string, platform?: string, manifests?: boolean): Promise<string>;
  history(name: string, platform?: string): Promise<Wire.ImageHistoryItem[]>;
  tag(name: string, repo: string, tag: string, platform?: string): Promise<void>;
  remove(
    name: string,
    options: { readonly force: boolean; readonly noPrune: boolean; readonly platforms?: readonly string[] | undefined },
  ): Promise<Wire.ImageDeleteItem[]>;
  prune(filters: Filters): Promise<Wire.ImagePruneResult>;
  load(
    archive: AsyncIterable<Uint8Array>,
    options: {
      readonly quiet: boolean;
      readonly platforms?: readonly string[] | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<AsyncIterable<ProgressMessage>>;
  save(names: readonly string[], platforms?: readonly string[]): Promise<Response>;
  import(
    source: AsyncIterable<Uint8Array> | string,
    options: {
      readonly repo?: string | undefined;
      readonly tag?: string | undefined;
      readonly message?: string | undefined;
      readonly changes: readonly string[];
      readonly platform?: string | undefined;
    },
  ): Promise<AsyncIterable<ProgressMessage>>;
  pull(
    repo: string,
    tag: string | undefined,
    options: {
      readonly platform?: string | undefined;
      readonly auth?: string | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<AsyncIterable<ProgressMessage>>;
  push(
    repo: string,
    tag: string | undefined,
    options: {
      readonly auth: string;
      readonly platform?: string | undefined;
      /** `tag` is a digest: the registry gets no tag. */
      readonly byDigest?: boolean | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<AsyncIterable<ProgressMessage>>;
  /** Gantry's own: the manifest that a registry has under a name. */
  registryManifest(name: string, options: RegistryOptions): Promise<RegistryManifest>;
  /** Gantry's own: makes a list of manifests that are in the registry of `name`. */
  pushManifestList(
    name: string,
    members: readonly Pick<RegistryManifest, "Ref" | "Descriptor">[],
    options: RegistryOptions,
  ): Promise<AsyncIterable<ProgressMessage>>;
  search(
    term: string,
    options: {
      readonly limit?: number | undefined;
      readonly filters?: Filters | undefined;
      readonly auth?: string | undefined;
    },
  ): Promise<SearchResult[]>;
}

/** The JSON form of "os/arch/variant" that `platform` parameters of newer routes take. */
export function platformJson(platform: string | undefined): string | undefined {
  if (platform === undefined || platform === "") return undefined;
  const { os, architecture, variant } = parsePlatform(platform);
  return JSON.stringify({ architecture, os, ...(variant === undefined ? {} : { variant }) });
}

/** One parameter for each. */
function platformsJson(platforms: readonly string[] | undefined): string[] | undefined {
  return platforms?.flatMap((platform) => platformJson(platform) ?? []);
}

export function imagesClient(transport: Transport): ImagesClient {
  const path = (name: string) => name.split("/").map(encodeURIComponent).join("/");
  const at = (name: string, verb: string) => `/images/${path(name)}${verb}`;
  return {
    list: ({ all, filters, sharedSize, digests, manifests } = {}) =>
      transport.json("GET", "/images/json", { query: { all, filters, "shared-size": sharedSize, digests, manifests } }),
    inspect: (name, platform) =>
      transport.json("GET", at(name, "/json"), { query: { platform: platformJson(platform) } }),
    inspectText: (name, platform, manifests) =>
      transport.text("GET", at(name, "/json"), { query: { platform: platformJson(platform), manifests } }),
    history: (name, platform) =>
      transport.json("GET", at(name, "/history"), { query: { platform: platformJson(platform) } }),
    tag: async (name, repo, tag, platform) => {
      await transport.text("POST", at(name, "/tag"), { query: { repo, tag, platform: platformJson(platform) } });
    },
    remove: (name, { force, noPrune, platforms }) =>
      transport.json("DELETE", at(name, ""), {
        query: { force, noprune: noPrune, platforms: platformsJson(platforms) },
      }),
    prune: (filters) => transport.json("POST", "/images/prune", { query: { filters } }),
    load: (archive, { quiet, platforms, signal }) =>
      progress(
        transport.call("POST", "/images/load", {
          query: { quiet: quiet ? "1" : "0", platform: platformsJson(platforms) },
          body: archive,
          signal,
        }),
      ),
    save: (names, platforms) =>
      transport.call("GET", "/images/get", { query: { names, platform: platformsJson(platforms) } }),
    import: (source, { repo, tag, message, changes, platform }) => {
      const fromSrc = typeof source === "string" ? source : "-";
      const query = { fromSrc, repo, tag, message, changes, platform };
      return progress(
        transport.call("POST", "/images/create", { query, body: typeof source === "string" ? undefined : source }),
      );
    },
    pull: (repo, tag, { platform, auth, signal }) =>
      progress(
        transport.call("POST", "/images/create", {
          query: { fromImage: repo, tag, platform },
          headers: authHeader(auth),
          signal,
        }),
      ),
    push: (repo, tag, { auth, platform, byDigest, signal }) =>
      progress(
        transport.call("POST", at(repo, "/push"), {
          query: { tag, platform: platformJson(platform), "by-digest": byDigest },
          headers: authHeader(auth),
          signal,
        }),
      ),
    registryManifest: (name, { auth, insecure }) =>
      transport.json("GET", `/gantry/manifests/${path(name)}`, { query: { insecure }, headers: authHeader(auth) }),
    pushManifestList: (name, members, { auth, insecure }) => {
      const json = { Members: members.map(({ Ref, Descriptor }) => ({ Ref, Descriptor })) };
      const call = { query: { insecure }, headers: authHeader(auth), json };
      return progress(transport.call("POST", `/gantry/manifests/${path(name)}`, call));
    },
    search: (term, { limit, filters, auth }) =>
      transport.json("GET", "/images/search", { query: { term, limit, filters }, headers: authHeader(auth) }),
  };
}
