/** POST /build?version=2: the classic query, asked of BuildKit's Dockerfile frontend; its status messages as lines. */
import { EngineError } from "../../base/errors.ts";
import type { PlainBuild } from "../../buildkit/buildkit.ts";
import { formatPlatform } from "../../oci/platform.ts";
import type { BuildQuery } from "./classic-query.ts";

type Attributes = Record<string, string>;

/** What the context is, when it is no archive in the body: the client's session has it. */
const FROM_SESSION = "client-session";

/** All but the body and the logins. Throws "invalid". */
export function plainBuildOf(query: BuildQuery): Omit<PlainBuild, "body" | "credentials"> {
  return { session: query.session ?? "", attributes: attributesOf(query), exporters: exportersOf(query) };
}

/** Whether the context is the request's body. */
export const hasBody = ({ remote }: BuildQuery): boolean => remote === undefined;

function attributesOf(query: BuildQuery): Attributes {
  const { dockerfile, target, buildargs = {}, labels = {}, nocache, pull, platform, networkmode } = query;
  const { cgroupparent, shmsize, ulimits, cachefrom, remote } = query;
  const hosts = query.extrahosts.flatMap((one) => one.split(",")).filter((one) => one !== "");
  const limits = (ulimits ?? []).map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`);
  const mode = networkmode === "default" || networkmode === "bridge" ? undefined : networkmode;
  const given: Readonly<Record<string, string | undefined>> = {
    filename: dockerfile,
    target,
    "no-cache": nocache ? "" : undefined,
    "image-resolve-mode": pull ? "pull" : undefined,
    platform: platform === undefined ? undefined : formatPlatform(platform),
    "force-network-mode": mode,
    "cgroup-parent": cgroupparent,
    "shm-size": shmsize === undefined || shmsize === 0 ? undefined : String(shmsize),
    ulimit: limits.length === 0 ? undefined : limits.join(","),
    "add-hosts": hosts.length === 0 ? undefined : hosts.join(","),
    "cache-from": cachefrom.length === 0 ? undefined : cachefrom.join(","),
    context: remote === FROM_SESSION ? undefined : remote,
  };
  return {
    ...Object.fromEntries(Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined)),
    ...withPrefix("build-arg:", buildargs),
    ...withPrefix("label:", labels),
  };
}

const withPrefix = (prefix: string, values: Readonly<Record<string, string>>): Attributes =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));

function exportersOf({ t, outputs }: BuildQuery): PlainBuild["exporters"] {
  const names = t.filter((tag) => tag !== "").join(",");
  const image = { type: "moby", attrs: { name: names } };
  if (outputs === undefined || outputs === "" || outputs === "null") return [image];
  return parsed(outputs).map(({ Type, Attrs }) =>
    Type === "moby" || Type === "image" ? image : { type: String(Type), attrs: { ...Attrs } },
  );
}

function parsed(text: string): { Type?: unknown; Attrs?: Record<string, string> | null }[] {
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list)) return list;
  } catch {
    // Said below.
  }
  throw new EngineError("invalid", "error reading build parameter 'outputs': it must be a JSON array of {Type, Attrs}");
}

/** The status as clients find it among the lines. */
export const traceLine = (status: Buffer): object => ({ id: "moby.buildkit.trace", aux: status.toString("base64") });
export const imageLine = (id: string): object => ({ id: "moby.image.id", aux: { ID: id } });
