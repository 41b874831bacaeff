/** The query of POST /build, and what it asks of the builder. */
import type { Resources } from "../../api/types/container.ts";
import { EngineError } from "../../base/errors.ts";
import type { BuildRequest, RegistryCredentials } from "../../builder/builder.ts";
import { parseReference } from "../../oci/reference.ts";
import { flag, flagOnByDefault, integer, type Param, type ParamValues, platformText, text, texts } from "../query.ts";

/** A JSON object of texts; null stands for "not given". Undefined when absent. */
const jsonTexts: Param<Readonly<Record<string, string>> | undefined> = ([value = ""], name) => {
  if (value === "" || value === "null") return undefined;
  const object = parsed(value, name);
  if (object === null || typeof object !== "object" || Array.isArray(object))
    throw wrong(name, "a JSON object of texts");
  const entries = Object.entries(object as Record<string, unknown>).filter(([, one]) => one !== null);
  if (entries.some(([, one]) => typeof one !== "string")) throw wrong(name, "a JSON object of texts");
  return Object.fromEntries(entries) as Record<string, string>;
};

const jsonList: Param<readonly string[]> = ([value = ""], name) => {
  if (value === "" || value === "null") return [];
  const list = parsed(value, name);
  if (!Array.isArray(list) || list.some((one) => typeof one !== "string")) throw wrong(name, "a JSON array of texts");
  return list as string[];
};

const ulimits: Param<Resources["Ulimits"]> = ([value = ""], name) => {
  if (value === "" || value === "null") return undefined;
  const list = parsed(value, name);
  const right =
    Array.isArray(list) &&
    list.every(
      (one: Record<string, unknown> | null) =>
        typeof one?.Name === "string" && typeof one.Soft === "number" && typeof one.Hard === "number",
    );
  if (!right) throw wrong(name, "a JSON array of {Name, Soft, Hard}");
  return list as Resources["Ulimits"];
};

function parsed(value: string, name: string): unknown {
  try {
    return JSON.parse(value);
  } catch (cause) {
    throw wrong(name, "JSON", cause);
  }
}

const wrong = (name: string, what: string, cause?: unknown): EngineError =>
  new EngineError("invalid", `error reading build parameter '${name}': it must be ${what}`, { cause });

export const buildQuery = {
  dockerfile: text,
  t: texts,
  remote: text,
  q: flag,
  nocache: flag,
  pull: flag,
  rm: flagOnByDefault,
  forcerm: flag,
  memory: integer,
  memswap: integer,
  cpushares: integer,
  cpuperiod: integer,
  cpuquota: integer,
  cpusetcpus: text,
  cpusetmems: text,
  cgroupparent: text,
  shmsize: integer,
  ulimits,
  networkmode: text,
  extrahosts: texts,
  securityopt: texts,
  isolation: text,
  buildargs: jsonTexts,
  labels: jsonTexts,
  cachefrom: jsonList,
  squash: flag,
  platform: platformText,
  target: text,
  outputs: text,
  version: text,
  session: text,
  buildid: text,
};

export type BuildQuery = ParamValues<typeof buildQuery>;

/** All of a request but its files. "invalid" and "not-implemented" before anything is read of the body. */
export function requestOf(query: BuildQuery): Omit<BuildRequest, "dockerfile" | "context"> {
  refuseForeign(query);
  const tags = query.t.filter((tag) => tag !== "");
  for (const tag of tags) parseReference(tag);
  return {
    tags,
    target: query.target,
    buildArgs: query.buildargs,
    labels: query.labels,
    platforms: query.platform === undefined ? [] : [query.platform],
    noCache: query.nocache,
    pull: query.pull,
    extraHosts: query.extrahosts.flatMap((one) => one.split(",")).filter((one) => one !== ""),
    network: query.networkmode,
    resources: resourcesOf(query),
    shmSize: query.shmsize || undefined,
    securityOptions: query.securityopt.flatMap(securityOptions),
    cacheFrom: query.cachefrom.map((ref) => ({ type: "registry", attributes: { ref } })),
    squash: query.squash,
  };
}

function refuseForeign({ version, outputs, isolation }: BuildQuery): void {
  if (version !== undefined && version !== "1")
    throw new EngineError("invalid", `invalid version ${version}`, { hint: "There are 1 and 2." });
  if (outputs !== undefined)
    throw new EngineError("not-implemented", "the classic builder has no outputs", {
      hint: "Use gantry build --output.",
    });
  if (isolation !== undefined && isolation !== "default")
    throw new EngineError("invalid", `Unsupported isolation: ${JSON.stringify(isolation)}`);
}

function resourcesOf(query: BuildQuery): Resources {
  const { memory, memswap, cpushares, cpuperiod, cpuquota } = query;
  for (const [name, value] of Object.entries({ memory, cpushares, cpuperiod }))
    if (value !== undefined && value < 0) throw new EngineError("invalid", `${name} cannot be negative`);
  return {
    Memory: memory,
    MemorySwap: memswap,
    CpuShares: cpushares,
    CpuPeriod: cpuperiod,
    CpuQuota: cpuquota,
    CpusetCpus: query.cpusetcpus,
    CpusetMems: query.cpusetmems,
    CgroupParent: query.cgroupparent,
    Ulimits: query.ulimits,
  };
}

/** Docker's client sends one JSON array; others repeat the parameter. */
function securityOptions(value: string): string[] {
  if (!value.startsWith("[")) return value === "" ? [] : [value];
  return [...jsonList([value], "securityopt")];
}

/** X-Registry-Config: base64 (either alphabet) of a JSON object, host → credentials. Undefined when absent; unreadable ones count as none, as Docker does. */
export function registryConfig(header: string | undefined): Readonly<Record<string, RegistryCredentials>> | undefined {
  if (header === undefined || header === "") return undefined;
  try {
    const object: unknown = JSON.parse(Buffer.from(header, "base64").toString("utf8"));
    if (object === null || typeof object !== "object") return undefined;
    return Object.fromEntries(Object.entries(object).map(([host, value]) => [hostOf(host), credentialsOf(value)]));
  } catch {
    return undefined;
  }
}

/** Docker's own registry is written "https://index.docker.io/v1/". */
function hostOf(key: string): string {
  const host = key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
}

function credentialsOf(value: unknown): RegistryCredentials {
  const { username, password, auth, identitytoken } = (value ?? {}) as Record<string, unknown>;
  const [user, word] = typeof auth === "string" ? split(Buffer.from(auth, "base64").toString("utf8")) : [];
  return {
    username: typeof username === "string" && username !== "" ? username : user,
    password: typeof password === "string" && password !== "" ? password : word,
    identityToken: typeof identitytoken === "string" && identitytoken !== "" ? identitytoken : undefined,
  };
}

function split(pair: string): readonly [string?, string?] {
  const colon = pair.indexOf(":");
  return colon < 0 ? [] : [pair.slice(0, colon), pair.slice(colon + 1)];
}
