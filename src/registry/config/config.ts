/** Everything about a registry that can be configured: registry.json, or the key `registry` of daemon.json. */
import { readFileSync } from "node:fs";
import { EngineError, errorMessage } from "../../base/errors.ts";
import type { RetentionRule } from "../gc/retention.ts";
import type { Action } from "../http/routes.ts";
import { isName } from "../names.ts";
import type { Quota } from "../quotas.ts";
import type { UpstreamConfig } from "../upstream/upstream.ts";
import type { WebhookConfig } from "../webhooks/queue.ts";
import {
  bytes,
  count,
  duration,
  flag,
  list,
  mapOf,
  object,
  oneOf,
  pattern,
  problem,
  type Reader,
  text,
  url,
} from "./read.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  /** Clients must have a certificate of one of these authorities. */
  readonly clientCas?: string | undefined;
}

export interface RuleConfig {
  readonly repositories: readonly RegExp[];
  /** Users, "@group", "anonymous", "authenticated". */
  readonly users: readonly string[];
  readonly actions: readonly Action[];
}

export interface AuthConfig {
  /** A file of users with bcrypt hashes. */
  readonly htpasswd?: string | undefined;
  readonly scheme?: "basic" | "token" | undefined;
  /** Somebody else's token server. */
  readonly token?:
    | { readonly realm: string; readonly service: string; readonly issuer: string; readonly keys: string }
    | undefined;
  readonly groups?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly rules?: readonly RuleConfig[] | undefined;
}

/** Milliseconds. */
export interface CollectionConfig {
  /** Between two collections. */
  readonly every?: number | undefined;
  /** That a blob is kept without a manifest. Default a day. */
  readonly grace?: number | undefined;
  /** That an upload is kept after its last byte. Default a day. */
  readonly uploadsExpire?: number | undefined;
}

export interface RegistryConfig {
  readonly root?: string | undefined;
  readonly listen?: readonly Address[] | undefined;
  readonly readOnly?: boolean | undefined;
  /** How clients reach it, when a proxy stands before it. */
  readonly url?: string | undefined;
  readonly tls?: TlsFiles | undefined;
  readonly auth?: AuthConfig | undefined;
  readonly collection?: CollectionConfig | undefined;
  readonly retention?: readonly RetentionRule[] | undefined;
  readonly quotas?: readonly Quota[] | undefined;
  readonly upstreams?: readonly UpstreamConfig[] | undefined;
  readonly webhooks?: readonly WebhookConfig[] | undefined;
  /** Who may read /metrics, where there are users. */
  readonly metricsFor?: "anyone" | "users" | undefined;
}

/** What holds where nothing is said, for a registry of its own and one in the daemon. */
export const DEFAULTS = Object.freeze({
  listen: [{ host: "127.0.0.1", port: 5000 }] as readonly Address[],
  /** Milliseconds. */
  collectEvery: 6 * 3600_000,
});

const LISTEN = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]/]*):)?(\d{1,5})$/;

/** "[HOST:]PORT"; without a host this machine alone. */
export const address: Reader<Address> = (value, where) => {
  const [, host = "127.0.0.1", port] = LISTEN.exec(String(value)) ?? [];
  if (port === undefined || Number(port) > 65535) throw problem(where, "an address is expected, [HOST:]PORT", value);
  return { host: host === "" ? "0.0.0.0" : host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
};

const addresses: Reader<readonly Address[]> = (value, where) =>
  Array.isArray(value) ? list(address)(value, where) : [address(value, where)];

/** One or several. */
const patterns: Reader<readonly RegExp[]> = (value, where) =>
  Array.isArray(value) ? list(pattern)(value, where) : [pattern(value, where)];

const rule = object<RuleConfig>(
  { repositories: patterns, users: list(text), actions: list(oneOf("pull", "push", "delete")) },
  ["repositories", "users", "actions"],
);

const auth = object<AuthConfig>({
  htpasswd: text,
  scheme: oneOf("basic", "token"),
  token: object({ realm: url, service: text, issuer: text, keys: text }, ["realm", "service", "issuer", "keys"]),
  groups: mapOf(list(text)),
  rules: list(rule),
});

const retention = object<RetentionRule>(
  { repositories: patterns, tags: patterns, untagged: flag, olderThan: duration, unusedFor: duration, keep: count },
  ["repositories"],
);

const prefix: Reader<string> = (value, where) => {
  if (value === "" || (typeof value === "string" && isName(value))) return value;
  throw problem(where, 'the first part of a repository\'s name is expected, such as "docker.io"', value);
};

const upstream = object<UpstreamConfig>(
  { prefix, url, username: text, password: text, passwordFile: text, insecure: flag, ttl: duration },
  ["prefix", "url"],
);

const webhook = object<WebhookConfig>(
  {
    url,
    events: list(oneOf("push", "delete")),
    repositories: patterns,
    headers: mapOf(text),
    secret: text,
    timeout: duration,
    backoff: duration,
    giveUp: duration,
    queue: count,
  },
  ["url"],
);

const config = object<RegistryConfig>({
  root: text,
  listen: addresses,
  readOnly: flag,
  url,
  tls: object<TlsFiles>({ certificate: text, key: text, clientCas: text }, ["certificate", "key"]),
  auth,
  collection: object<CollectionConfig>({ every: duration, grace: duration, uploadsExpire: duration }),
  retention: list(retention),
  upstreams: list(upstream),
  webhooks: list(webhook),
  metricsFor: oneOf("anyone", "users"),
  quotas: list(object<Quota>({ repositories: patterns, bytes, each: flag }, ["repositories", "bytes"])),
});

/** Throws "invalid", naming the place. */
export function readConfig(value: unknown, where = "registry"): RegistryConfig {
  const found = config(value, where);
  if (found.auth !== undefined) checkAuth(found.auth, `${where}.auth`);
  return found;
}

function checkAuth({ htpasswd, token, rules = [], groups = {} }: AuthConfig, where: string): void {
  if (htpasswd !== undefined && token !== undefined)
    throw new EngineError("invalid", `${where}: htpasswd and token exclude each other`);
  if (htpasswd === undefined && token === undefined)
    throw new EngineError("invalid", `${where}: htpasswd or token is missing`, {
      hint: "to let anyone in without a login, leave auth out",
    });
  for (const user of rules.flatMap(({ users }) => users))
    if (user.startsWith("@") && !Object.hasOwn(groups, user.slice(1)))
      throw new EngineError("invalid", `${where}: there is no group ${JSON.stringify(user.slice(1))}`);
}

/** Throws "invalid" when the file cannot be read or is wrong. */
export function readConfigFile(path: string): RegistryConfig {
  try {
    return readConfig(JSON.parse(readFileSync(path, "utf8")), "registry");
  } catch (error) {
    const hint = error instanceof EngineError ? error.hint : undefined;
    throw new EngineError("invalid", `${path}: ${errorMessage(error)}`, { hint, cause: error });
  }
}
