/** Keeping credentials, in config.json or by the helper that it names. */
import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "../context.ts";
import { type Credentials, readConfig } from "./credentials.ts";

/** Undefined credentials are forgotten. True: there were some before. */
export function storeCredentials(context: Context, server: string, credentials: Credentials | undefined): boolean {
  const config = readConfig(context);
  const helper = config.credHelpers?.[server] ?? config.credsStore;
  const known = config.auths?.[server] !== undefined;
  if (helper !== undefined) tellHelper(helper, server, credentials);
  const { [server]: _old, ...others } = config.auths ?? {};
  const entry = credentials === undefined || helper !== undefined ? {} : entryOf(credentials);
  config.auths = credentials === undefined ? others : { ...others, [server]: entry };
  const path = join(context.configFolder, "config.json");
  mkdirSync(context.configFolder, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(config, undefined, "\t")}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return known;
}

function entryOf({ username = "", password = "", identitytoken }: Credentials): {
  auth: string;
  identitytoken?: string;
} {
  if (identitytoken) return { auth: Buffer.from(`${username}:`).toString("base64"), identitytoken };
  return { auth: Buffer.from(`${username}:${password}`).toString("base64") };
}

function tellHelper(helper: string, server: string, credentials: Credentials | undefined): void {
  const [verb, input] =
    credentials === undefined
      ? ["erase", server]
      : ["store", JSON.stringify({ ServerURL: server, Username: credentials.username, Secret: credentials.password })];
  const { status, stdout } = spawnSync(`docker-credential-${helper}`, [verb], { input, encoding: "utf8" });
  if (status !== 0) throw new Error(`error saving credentials: ${stdout?.trim() ?? `no helper ${helper}`}`);
}
