/** Keeping credentials, in config.json or by the helper that it names. */
import type { Context } from "../context.ts";
import { type AuthEntry, type ClientConfig, hostOf, readConfig, writeConfig } from "./config-json.ts";
import { eraseByHelper, helperOf, storeByHelper } from "./credential-helper.ts";
import type { Credentials } from "./credentials.ts";

/** Says where: "file" is readable by whoever may read config.json. */
export function storeCredentials(context: Context, server: string, credentials: Credentials): "file" | "helper" {
  const config = readConfig(context);
  const helper = helperOf(config, server);
  if (helper !== undefined) storeByHelper(helper, server, credentials);
  // The empty entry tells that somebody is logged in there.
  const entry = helper === undefined ? entryOf(credentials) : {};
  writeConfig(context, { ...config, auths: { ...config.auths, [server]: entry } });
  return helper === undefined ? "file" : "helper";
}

/** True: there were some. */
export function forgetCredentials(context: Context, server: string): boolean {
  const config = readConfig(context);
  const helper = helperOf(config, server);
  const names = Object.keys(config.auths ?? {}).filter((name) => name === server || hostOf(name) === hostOf(server));
  if (helper !== undefined) eraseByHelper(helper, server);
  if (names.length > 0) writeConfig(context, without(config, names));
  return names.length > 0 || helper !== undefined;
}

function without(config: ClientConfig, names: readonly string[]): ClientConfig {
  const left = Object.entries(config.auths ?? {}).filter(([name]) => !names.includes(name));
  return { ...config, auths: Object.fromEntries(left) };
}

function entryOf({ username = "", password = "", identitytoken }: Credentials): AuthEntry {
  if (identitytoken) return { auth: Buffer.from(`${username}:`).toString("base64"), identitytoken };
  return { auth: Buffer.from(`${username}:${password}`).toString("base64") };
}
