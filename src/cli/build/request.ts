/** The flags of `gantry build` as the request that the daemon gets, and as what this side answers for. */
import { resolve } from "node:path";
import type { WireBuild, WireNamedContext, WireResources, WireTyped } from "../../api/types/build.ts";
import { EngineError } from "../../base/errors.ts";
import type { Environment } from "../context.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { parseCsv } from "../flags/values.ts";
import { checkedName } from "../images/name.ts";
import { keyValues } from "../run/env.ts";
import { parseUlimit } from "../run/ulimits.ts";
import type { Outputs } from "./outputs.ts";
import { folderSource, isRemote, remote, type Source } from "./source.ts";

/** All but the Dockerfile, the contexts and what this side answers for. Throws in docker's words. */
export function optionsFrom(flags: ParsedFlags, env: Environment, outputs: Outputs): Omit<WireBuild, "dockerfile"> {
  const buildArgs = buildArguments(flags.list("build-arg"), env);
  const filtered = flags.list("no-cache-filter");
  return {
    target: flags.text("target"),
    buildArgs,
    labels: keyValues(flags.list("label")),
    platforms: flags.list("platform"),
    noCache: flags.bool("no-cache") || (filtered.length > 0 ? filtered : false),
    pull: flags.bool("pull"),
    extraHosts: flags.list("add-host"),
    network: flags.text("network"),
    resources: resources(flags),
    shmSize: flags.number("shm-size"),
    entitlements: flags.list("allow"),
    securityOptions: flags.list("security-opt"),
    cacheFrom: flags.list("cache-from").map((word) => cacheLocation(word, "src")),
    cacheTo: flags.list("cache-to").map((word) => cacheLocation(word, "dest")),
    squash: flags.bool("squash"),
    sourceDateEpoch: epoch(buildArgs.SOURCE_DATE_EPOCH ?? env.SOURCE_DATE_EPOCH),
    tags: outputs.image.names.map((name) => checkedTag(name)),
    digestNames: outputs.image.digestNames.map((name) => checkedTag(name)),
    store: outputs.store,
    imageOptions: outputs.image.options,
    exporters: outputs.client.map(({ wire }) => wire),
  };
}

function checkedTag(name: string): string {
  if (name === "") throw new EngineError("invalid", 'invalid tag "": invalid reference format');
  return checkedName(name, `invalid tag ${JSON.stringify(name)}: `);
}

/** A name without a value takes the environment's; where that has none, nothing is set. */
function buildArguments(words: readonly string[], env: Environment): Record<string, string> {
  const pairs = words.flatMap((word) => {
    const equals = word.indexOf("=");
    if (equals > 0) return [[word.slice(0, equals), word.slice(equals + 1)] as const];
    const value = env[word];
    return equals === 0 || value === undefined ? [] : [[word, value] as const];
  });
  return Object.fromEntries(pairs);
}

function resources(flags: ParsedFlags): WireResources {
  const { number, text, list } = {
    number: (name: string) => (flags.changed(name) ? flags.number(name) : undefined),
    text: (name: string) => flags.text(name) || undefined,
    list: (name: string) => flags.list(name),
  };
  const ulimits = list("ulimit").map(parseUlimit);
  return {
    Memory: number("memory"),
    MemorySwap: number("memory-swap"),
    CpuShares: number("cpu-shares"),
    CpuPeriod: number("cpu-period"),
    CpuQuota: number("cpu-quota"),
    CpusetCpus: text("cpuset-cpus"),
    CpusetMems: text("cpuset-mems"),
    CgroupParent: text("cgroup-parent"),
    Ulimits: ulimits.length === 0 ? undefined : ulimits,
  };
}

/** An image's name alone means the registry; a local cache's folder is made absolute, since the daemon opens it. */
function cacheLocation(word: string, folder: "src" | "dest"): WireTyped {
  const fields = parseCsv(word);
  if (fields.length === 1 && !word.includes("=")) {
    if (word === "inline") return { type: "inline", attributes: {} };
    return { type: "registry", attributes: { ref: word } };
  }
  const pairs = fields.map((field) => {
    const equals = field.indexOf("=");
    if (equals < 0) throw new Error(`invalid value ${field}: expected key=value`);
    return [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1)] as const;
  });
  const { type, ...attributes } = Object.fromEntries(pairs);
  if (!type) throw new Error(`type required form> ${JSON.stringify(word)}`);
  const path = attributes[folder];
  return { type, attributes: path === undefined ? attributes : { ...attributes, [folder]: resolve(path) } };
}

function epoch(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^\d{1,12}$/.test(text))
    throw new Error(`invalid SOURCE_DATE_EPOCH: ${text}: it must be a number of seconds since 1970`);
  return Number(text);
}

export interface NamedSource {
  readonly wire: WireNamedContext;
  /** What this side answers with. */
  readonly source?: Source | undefined;
  /** An OCI layout: its folder, and which image of it. */
  readonly layout?: { readonly folder: string; readonly reference: string } | undefined;
}

/** `--build-context`: NAME=VALUE. */
export function namedSources(words: readonly string[]): ReadonlyMap<string, NamedSource> {
  return new Map(
    words.map((word) => {
      const equals = word.indexOf("=");
      if (equals <= 0) throw new Error(`invalid context value: ${word}, expected key=value`);
      return [word.slice(0, equals).toLowerCase(), namedSource(word.slice(0, equals), word.slice(equals + 1))] as const;
    }),
  );
}

function namedSource(name: string, value: string): NamedSource {
  const image = /^docker-image:\/\/(.+)$/.exec(value)?.[1];
  if (image !== undefined) return { wire: { kind: "image", name: checkedName(image) } };
  const layout = /^oci-layout:\/\/(.+)$/.exec(value)?.[1];
  if (layout !== undefined) return { wire: { kind: "layout" }, layout: splitLayout(layout) };
  const source = isRemote(value) ? remote(value) : folderSource(value, undefined, `[context ${name}] load from client`);
  return { wire: source.wire, source };
}

/** "folder:tag", "folder@sha256:…". */
function splitLayout(text: string): { readonly folder: string; readonly reference: string } {
  const at = text.indexOf("@");
  if (at >= 0) return { folder: text.slice(0, at), reference: text.slice(at + 1) };
  const colon = text.lastIndexOf(":");
  return colon > text.lastIndexOf("/")
    ? { folder: text.slice(0, colon), reference: text.slice(colon + 1) }
    : { folder: text, reference: "" };
}
