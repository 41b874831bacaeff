/** Credentials of registries: those of $DOCKER_AUTH_CONFIG, of the helpers that config.json names, of config.json itself. */
import type { Context } from "../context.ts";
import { type AuthEntry, type ClientConfig, hostOf, readConfig } from "./config-json.ts";
import { askHelper, helperOf } from "./credential-helper.ts";

export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly identitytoken?: string | undefined;
  readonly registrytoken?: string | undefined;
  readonly serveraddress?: string | undefined;
}

export const DEFAULT_REGISTRY = "https://index.docker.io/v1/";
const DEFAULT_HOSTS = new Set(["docker.io", "index.docker.io", "registry-1.docker.io"]);

/** The name in config.json of the registry that an image is from. */
export function registryOf(repo: string): string {
  const [first = "", second] = repo.split("/");
  const isHost = second !== undefined && (/[.:]/.test(first) || first === "localhost");
  return isHost ? serverName(first) : DEFAULT_REGISTRY;
}

/** The name in config.json of what a user calls a server: "https://localhost:5000/v2/" → "localhost:5000". */
export function serverName(server: string): string {
  const host = hostOf(server);
  return DEFAULT_HOSTS.has(host) ? DEFAULT_REGISTRY : host;
}

/** For X-Registry-Auth; undefined when nothing is known. */
export function authHeader(context: Context, repo: string): string | undefined {
  const credentials = credentialsFor(context, registryOf(repo));
  return credentials === undefined ? undefined : Buffer.from(JSON.stringify(credentials)).toString("base64url");
}

/** For X-Registry-Config: all that config.json and its helpers know. Undefined when nothing is. */
export function registryConfig(context: Context): string | undefined {
  const config = readConfig(context);
  const servers = new Set([...Object.keys(config.auths ?? {}), ...Object.keys(config.credHelpers ?? {})]);
  const known = [...servers].flatMap((server) => {
    const credentials = credentialsFor(context, server);
    return credentials === undefined ? [] : [[server, credentials] as const];
  });
  if (known.length === 0) return undefined;
  return Buffer.from(JSON.stringify(Object.fromEntries(known))).toString("base64url");
}

/** A helper that fails is told of on standard error, and counts as one that knows nothing. */
export function credentialsFor(context: Context, server: string): Credentials | undefined {
  const given = fromEnvironment(context, server);
  if (given !== undefined) return given;
  const config = readConfig(context);
  const helper = helperOf(config, server);
  if (helper === undefined) return fromAuths(config, server);
  try {
    return askHelper(helper, server);
  } catch (error) {
    context.err.write(`WARNING: ${(error as Error).message}\n`);
    return undefined;
  }
}

function fromEnvironment({ env, err }: Context, server: string): Credentials | undefined {
  const text = env.DOCKER_AUTH_CONFIG;
  if (text === undefined || text === "") return undefined;
  try {
    return fromAuths(JSON.parse(text) as ClientConfig, server);
  } catch {
    err.write("WARNING: DOCKER_AUTH_CONFIG is not valid JSON and is passed over\n");
    return undefined;
  }
}

/** Older files write whole URLs. */
function fromAuths({ auths = {} }: ClientConfig, server: string): Credentials | undefined {
  const entry = auths[server] ?? Object.entries(auths).find(([name]) => hostOf(name) === hostOf(server))?.[1];
  return entry === undefined ? undefined : decoded(entry, server);
}

function decoded(entry: AuthEntry, server: string): Credentials | undefined {
  const text = Buffer.from(entry.auth ?? "", "base64")
    .toString("utf8")
    .replace(/\0+$/, "");
  const colon = text.indexOf(":");
  const { identitytoken, registrytoken } = entry;
  const username = colon > 0 ? text.slice(0, colon) : entry.username;
  const password = colon > 0 ? text.slice(colon + 1) : entry.password;
  // An empty entry says that a helper has it.
  if (![username, identitytoken, registrytoken].some(Boolean)) return undefined;
  return { username, password, identitytoken, registrytoken, serveraddress: server };
}
