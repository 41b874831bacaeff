/** Images: listing, tags, archives, and their way from and to registries. */
import { EngineError } from "../../base/errors.ts";
import type { Progress } from "../../images/images.ts";
import { ACCEPTED } from "../filters.ts";
import { filters, flag, platformJson, platformsJson, platformTextOrAll, text, texts, verbatim } from "../query.ts";
import { registryCredentials } from "../registry-auth.ts";
import { type Call, empty, json, type Reply, type Route, route, type WriteLine } from "../route.ts";

const ARCHIVE = "application/x-tar";

const createQuery = {
  fromImage: text,
  fromSrc: text,
  repo: text,
  tag: text,
  message: text,
  changes: texts,
  platform: platformTextOrAll,
};
/** "by-digest" is our own: a name with a digest is sent without a tag. */
const pushQuery = { tag: text, platform: platformJson, "by-digest": flag };
const loadQuery = { quiet: flag, platform: platformsJson };

export const imageRoutes: readonly Route[] = [
  route("GET", "/images/json", {
    query: {
      all: flag,
      filters: filters(ACCEPTED.images),
      filter: text,
      "shared-size": flag,
      digests: flag,
      manifests: flag,
    },
    handle: async ({ engine, query, version }) => {
      const { all, digests, manifests, "shared-size": sharedSize } = query;
      const reference = version < 41 && query.filter !== undefined ? { reference: [query.filter] } : {};
      return json(
        await engine.images.list({ all, digests, manifests, sharedSize, filters: { ...query.filters, ...reference } }),
      );
    },
  }),
  route("POST", "/images/create", { query: createQuery, handle: create }),
  route("POST", "/images/load", { query: loadQuery, handle: load }),
  route("POST", "/images/prune", {
    since: 25,
    query: { filters: filters(ACCEPTED.pruneImages) },
    handle: async ({ engine, query }) => json(await engine.images.prune(query.filters)),
  }),
  route("GET", "/images/get", {
    query: { names: texts, platform: platformsJson },
    handle: async ({ engine, query }) => {
      const names = query.names.flatMap((name) => name.split(",")).filter((name) => name !== "");
      if (names.length === 0) throw new EngineError("invalid", "no image names were given");
      return { kind: "bytes", type: ARCHIVE, source: await engine.images.save(names, query.platform) };
    },
  }),
  route("GET", "/images/{name}/get", {
    query: { platform: platformsJson },
    handle: async ({ engine, path, query }) => ({
      kind: "bytes",
      type: ARCHIVE,
      source: await engine.images.save([path.name], query.platform),
    }),
  }),
  route("GET", "/images/{name}/json", {
    query: { platform: platformJson, manifests: flag },
    handle: async ({ engine, path, query }) => {
      if (query.manifests && query.platform !== undefined)
        throw new EngineError("invalid", "conflicting options: manifests and platform options cannot both be set");
      return json(await engine.images.inspect(path.name, query.platform, { manifests: query.manifests }));
    },
  }),
  route("GET", "/images/{name}/history", {
    query: { platform: platformJson },
    handle: ({ engine, path, query }) => json(engine.images.history(path.name, query.platform)),
  }),
  route("POST", "/images/{name}/tag", {
    // The platform is Gantry's own: the name then points to that image alone.
    query: { repo: verbatim, tag: verbatim, platform: platformJson },
    handle: ({ engine, path, query }) => {
      engine.images.tag(path.name, query.repo ?? "", query.tag ?? "", query.platform);
      return empty(201);
    },
  }),
  route("POST", "/images/{name}/push", { query: pushQuery, handle: push }),
  route("DELETE", "/images/{name}", {
    query: { force: flag, noprune: flag, platforms: platformsJson },
    handle: async ({ engine, path, query: { force, noprune, platforms } }) =>
      json(await engine.images.remove(path.name, { force, prune: !noprune, platforms })),
  }),
];

type CreateCall = Call<"/images/create", typeof createQuery>;

function create(call: CreateCall): Reply {
  const { engine, query, request, signal } = call;
  const { fromImage, fromSrc, platform, ...options } = query;
  if (fromImage !== undefined) return pull(fromImage, call);
  if (platform === "all") throw new EngineError("invalid", "an image that is imported has one platform");
  const source = fromSrc === "-" ? request : importUrl(fromSrc ?? "");
  return {
    kind: "progress",
    run: async (write) =>
      write({ status: await engine.images.import(source, { ...options, platform, signal, onProgress: write }) }),
  };
}

/** As Docker: what says no scheme is a host. */
function importUrl(text: string): URL {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !["http:", "https:"].includes(url.protocol))
    throw new EngineError("invalid", `cannot import from ${JSON.stringify(text)}`, {
      hint: "give an http or https address, or - for an archive in the request",
    });
  return url;
}

/** Without a tag or digest in either parameter: every tag of the repository. */
function pull(image: string, { engine, query: { tag, platform }, request, signal }: CreateCall): Reply {
  const name = withTag(image, tag);
  const credentials = registryCredentials(request);
  return {
    kind: "progress",
    run: (write) => engine.images.pull(name, { platform, credentials, signal, onProgress: write }),
  };
}

/** Without a tag: every tag of the repository. */
function push({
  engine,
  path,
  query: { tag, platform, "by-digest": byDigest },
  request,
  signal,
}: Call<"/images/{name}/push", typeof pushQuery>): Reply {
  const credentials = registryCredentials(request);
  const name = withTag(path.name, tag);
  return {
    kind: "progress",
    run: (write) => engine.images.push(name, { platform, byDigest, credentials, signal, onProgress: write }),
  };
}

/** The tag, or digest, in its own parameter goes before one in the name. */
function withTag(image: string, tag: string | undefined): string {
  if (tag === undefined) return image;
  const bare = image.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
  return `${bare}${tag.includes(":") ? "@" : ":"}${tag}`;
}

function load({ engine, query, request, signal }: Call<"/images/load", typeof loadQuery>): Reply {
  return {
    kind: "progress",
    run: (write) =>
      engine.images.load(request, { platforms: query.platform, signal, onProgress: progressTo(write, query.quiet) }),
  };
}

/** Quiet: only what was loaded, not how it goes. */
const progressTo = (write: WriteLine, quiet: boolean) => (line: Progress) => {
  if (!quiet || line.stream !== undefined) write(line);
};
