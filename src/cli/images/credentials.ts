/** Credentials of registries: the client's config.json, and the helpers that it names. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "../context.ts";

export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly identitytoken?: string | undefined;
  readonly serveraddress?: string | undefined;
}

export interface ClientConfig {
  auths?: Record<string, { auth?: string; identitytoken?: string }>;
  credsStore?: string;
  credHelpers?: Record<string, string>;
}

export const DEFAULT_REGISTRY = "https://index.docker.io/v1/";

/** The name of the registry in config.json. */
export function registryOf(repo: string): string {
  const [first = "", second] = repo.split("/");
  const isHost = second !== undefined && (/[.:]/.test(first) || first === "localhost");
  return isHost && first !== "docker.io" ? first : DEFAULT_REGISTRY;
}

export function readConfig(context: Context): ClientConfig {
  try {
    return JSON.parse(readFileSync(join(context.configFolder, "config.json"), "utf8")) as ClientConfig;
  } catch {
    return {};
  }
}

/** For X-Registry-Auth; undefined when nothing is known. */
export async function authHeader(context: Context, repo: string): Promise<string | undefined> {
  const credentials = credentialsFor(readConfig(context), registryOf(repo));
  return credentials === undefined ? undefined : Buffer.from(JSON.stringify(credentials)).toString("base64url");
}

export function credentialsFor(config: ClientConfig, server: string): Credentials | undefined {
  const helper = config.credHelpers?.[server] ?? config.credsStore;
  if (helper !== undefined) return fromHelper(helper, server);
  const entry = config.auths?.[server] ?? config.auths?.[`https://${server}`];
  if (entry === undefined) return undefined;
  const decoded = Buffer.from(entry.auth ?? "", "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  return {
    username: decoded.slice(0, Math.max(colon, 0)),
    password: decoded.slice(colon + 1),
    identitytoken: entry.identitytoken,
    serveraddress: server,
  };
}

function fromHelper(helper: string, server: string): Credentials | undefined {
  const { status, stdout } = spawnSync(`docker-credential-${helper}`, ["get"], { input: server, encoding: "utf8" });
  if (status !== 0) return undefined;
  const { Username, Secret } = JSON.parse(stdout) as { Username: string; Secret: string };
  if (Username === "<token>") return { identitytoken: Secret, serveraddress: server };
  return { username: Username, password: Secret, serveraddress: server };
}
