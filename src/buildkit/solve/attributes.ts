/** What the Dockerfile frontend's attributes ask of the builder. */
import { EngineError } from "../../base/errors.ts";
import type { BuildRequest, CacheLocation } from "../../builder/builder.ts";
import { parsePlatform } from "../../oci/platform.ts";

export type Attributes = Readonly<Record<string, string>>;

type Options = Pick<
  BuildRequest,
  | "target"
  | "buildArgs"
  | "labels"
  | "platforms"
  | "noCache"
  | "pull"
  | "extraHosts"
  | "network"
  | "resources"
  | "shmSize"
>;

/** Throws "invalid" for values that mean nothing. Attributes that are not known are left alone: clients send hints. */
export function optionsOf(attributes: Attributes): Options {
  const { target, platform = "", "no-cache": noCache, "add-hosts": hosts = "" } = attributes;
  const { "force-network-mode": network, "cgroup-parent": CgroupParent, "shm-size": shm, ulimit = "" } = attributes;
  const Ulimits = list(ulimit).map(ulimitOf);
  return {
    target: target || undefined,
    buildArgs: prefixed(attributes, "build-arg:"),
    labels: prefixed(attributes, "label:"),
    platforms: list(platform).map(parsePlatform),
    noCache: noCache === undefined ? false : noCache === "" ? true : list(noCache),
    pull: attributes["image-resolve-mode"] === "pull",
    extraHosts: list(hosts),
    network: network === "sandbox" ? undefined : network || undefined,
    resources: { ...(CgroupParent && { CgroupParent }), ...(Ulimits.length > 0 && { Ulimits }) },
    shmSize: shm === undefined ? undefined : wholeNumber("shm-size", shm),
  };
}

/** Those whose names begin so, by what follows. */
export const prefixed = (attributes: Attributes, prefix: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(attributes)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );

const list = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim().replace(/^"(.*)"$/, "$1"))
    .filter((part) => part !== "");

function wholeNumber(name: string, text: string): number {
  if (!/^-?\d{1,15}$/.test(text))
    throw new EngineError("invalid", `invalid ${name}: ${JSON.stringify(text)}`, { hint: "It is a number of bytes." });
  return Number(text);
}

/** "nofile=1024", "nofile=1024:2048". */
function ulimitOf(text: string): { Name: string; Soft: number; Hard: number } {
  const [, Name = "", soft = "", hard = soft] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? [];
  if (Name === "")
    throw new EngineError("invalid", `invalid ulimit: ${JSON.stringify(text)}`, {
      hint: "It is NAME=SOFT[:HARD], as in nofile=1024:2048.",
    });
  return { Name, Soft: Number(soft), Hard: Number(hard) };
}

const CACHE_TYPES: readonly string[] = ["inline", "registry", "local"];

/** Undefined for places that are not known here. */
export function cacheLocation(type: string, attributes: Attributes): CacheLocation | undefined {
  return CACHE_TYPES.includes(type) ? { type: type as CacheLocation["type"], attributes } : undefined;
}

/** The list that newer clients send as JSON, and the names of older ones. */
export function cacheImports(attributes: Attributes): { readonly type: string; readonly attrs: Attributes }[] {
  const { "cache-imports": json, "cache-from": names = "" } = attributes;
  if (json === undefined) return list(names).map((ref) => ({ type: "registry", attrs: { ref } }));
  try {
    const entries = JSON.parse(json) as { Type?: unknown; Attrs?: unknown }[];
    return entries.map(({ Type, Attrs }) => ({
      type: String(Type),
      attrs: Object.fromEntries(Object.entries(Attrs ?? {}).map(([name, value]) => [name, String(value)])),
    }));
  } catch (cause) {
    throw new EngineError("invalid", "cache-imports is no list", {
      hint: 'It is JSON: [{"Type": "registry", "Attrs": {"ref": "NAME"}}].',
      cause,
    });
  }
}

export const isTrue = (text: string | undefined): boolean => /^(?:1|t|true)$/i.test(text ?? "");
