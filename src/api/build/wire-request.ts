/** What `gantry build` asks for, checked, in the builder's terms. */
import { EngineError } from "../../base/errors.ts";
import type { BuildRequest, CacheLocation } from "../../builder/builder.ts";
import { parseReference } from "../../oci/reference.ts";
import type { Platform } from "../../oci/types.ts";
import { boolean, decode, int64, list, map, type Schema, string, struct } from "../json/schema.ts";
import { platformText } from "../query.ts";
import type { WireBuild, WireNamedContext, WireResources, WireTyped } from "../types/build.ts";

const typed = struct<WireTyped>("Typed", { type: string, attributes: map(string) });

interface FlatContext {
  readonly kind?: string | undefined;
  readonly key?: string | undefined;
  readonly description?: string | undefined;
  readonly url?: string | undefined;
  readonly name?: string | undefined;
}

const flatContext = struct<FlatContext>("Context", {
  kind: string,
  key: string,
  description: string,
  url: string,
  name: string,
});

/** What each kind must have. */
const NEEDED: Readonly<Record<WireNamedContext["kind"], readonly (keyof FlatContext)[]>> = {
  folder: ["key"],
  tar: [],
  remote: ["url"],
  image: ["name"],
  layout: [],
};

const context: Schema<WireNamedContext> = {
  type: "Context",
  zero: () => ({ kind: "tar" }),
  read(value, place) {
    const flat = flatContext.read(value, place);
    const needed = NEEDED[flat.kind as WireNamedContext["kind"]];
    if (needed === undefined || needed.some((name) => !flat[name]))
      throw new EngineError("invalid", `a build context of kind ${JSON.stringify(flat.kind)} cannot be used`);
    return { ...flat, description: flat.description ?? "" } as WireNamedContext;
  },
};

const noCache: Schema<boolean | readonly string[]> = {
  type: "bool",
  zero: () => false,
  read: (value, place) => (Array.isArray(value) ? list(string).read(value, place) : boolean.read(value, place)),
};

const ulimit = struct<{ Name: string; Soft: number; Hard: number }>("Ulimit", {
  Name: string,
  Soft: int64,
  Hard: int64,
});

const wireBuild = struct<WireBuild>("Build", {
  dockerfile: struct("Dockerfile", { name: string, text: string, ignored: list(string) }),
  context: context as Schema<NonNullable<WireBuild["context"]>>,
  contexts: map(context),
  target: string,
  buildArgs: map(string),
  labels: map(string),
  platforms: list(string),
  noCache,
  pull: boolean,
  extraHosts: list(string),
  network: string,
  resources: struct<WireResources>("Resources", {
    Memory: int64,
    MemorySwap: int64,
    CpuShares: int64,
    CpuPeriod: int64,
    CpuQuota: int64,
    CpusetCpus: string,
    CpusetMems: string,
    CgroupParent: string,
    Ulimits: list(ulimit),
  }),
  shmSize: int64,
  entitlements: list(string),
  securityOptions: list(string),
  secrets: list(string),
  ssh: list(string),
  cacheFrom: list(typed),
  cacheTo: list(typed),
  squash: boolean,
  sourceDateEpoch: int64,
  tags: list(string),
  store: boolean,
  imageOptions: map(string),
  digestNames: list(string),
  exporters: list(typed),
});

/** Throws "invalid". */
export function readWireBuild(value: unknown): WireBuild {
  const request = decode(wireBuild, value);
  if (request === undefined) throw new EngineError("invalid", "the build's request is missing");
  return request;
}

type Converted = Omit<BuildRequest, "dockerfile" | "context" | "contexts" | "secrets" | "ssh" | "exporters">;

/** All that is the same on both sides of the wire. Throws "invalid". */
export function optionsOf(wire: WireBuild): Converted {
  for (const tag of wire.tags ?? []) parseReference(tag);
  const {
    target,
    buildArgs,
    labels,
    noCache: fresh,
    pull,
    extraHosts,
    network,
    resources,
    shmSize,
    tags,
    store,
    imageOptions,
    digestNames,
  } = wire;
  return {
    target: target || undefined,
    buildArgs,
    labels,
    platforms: (wire.platforms ?? []).map(platformOf),
    noCache: fresh,
    pull,
    extraHosts,
    network,
    resources,
    shmSize: shmSize || undefined,
    entitlements: (wire.entitlements ?? []).map(entitlementOf),
    securityOptions: wire.securityOptions,
    cacheFrom: wire.cacheFrom?.map(cacheLocation),
    cacheTo: wire.cacheTo?.map(cacheLocation),
    squash: wire.squash,
    sourceDateEpoch: wire.sourceDateEpoch,
    tags,
    store,
    imageOptions,
    digestNames,
  };
}

function platformOf(text: string): Platform {
  const platform = platformText([text], "platform");
  if (platform === undefined) throw new EngineError("invalid", "a platform is empty");
  return platform;
}

function entitlementOf(text: string): "network.host" | "security.insecure" {
  if (text === "network.host" || text === "security.insecure") return text;
  throw new EngineError("invalid", `invalid entitlement: ${text}`, {
    hint: "There are network.host and security.insecure.",
  });
}

function cacheLocation({ type, attributes }: WireTyped): CacheLocation {
  if (type === "inline" || type === "registry" || type === "local") return { type, attributes };
  throw new EngineError("not-implemented", `a cache of type ${JSON.stringify(type)} is not supported`, {
    hint: "There are inline, registry and local.",
  });
}
