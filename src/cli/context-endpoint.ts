/** `--docker` of `context create` and `context update`: which daemon, and the files of its TLS. */
import { X509Certificate } from "node:crypto";
import { errorMessage } from "../base/errors.ts";
import { parseHost } from "../client/host.ts";
import type { Context } from "./context.ts";
import { type FullContext, loadContext, readPem } from "./contexts.ts";
import type { FlagSpec } from "./flags/spec.ts";
import { keyValues } from "./run/env.ts";

export const DOCKER_FLAG: FlagSpec = {
  name: "docker",
  type: "strings",
  help: "The daemon: host=ADDRESS,ca=FILE,cert=FILE,key=FILE,skip-tls-verify=BOOL or from=CONTEXT",
  check: (word) => (word.includes("=") ? undefined : `${word} must be formatted as key=value`),
};

const KEYS = new Set(["ca", "cert", "key", "skip-tls-verify", "host", "from"]);

export interface DockerEndpoint {
  readonly meta: { readonly Host?: string; readonly SkipTLSVerify: boolean };
  readonly files: Readonly<Record<string, Buffer>>;
}

/** Throws in docker's words for unknown keys, hosts that are none, files that are not there or no certificates. */
export function dockerEndpoint(context: Context, words: readonly string[]): DockerEndpoint {
  try {
    return endpointOf(context, words);
  } catch (error) {
    throw new Error(`unable to create docker endpoint config: ${errorMessage(error)}`, { cause: error });
  }
}

function endpointOf(context: Context, words: readonly string[]): DockerEndpoint {
  const given = keyValues(words);
  for (const key of Object.keys(given)) if (!KEYS.has(key)) throw new Error(`unrecognized config key: ${key}`);
  if (given.from !== undefined) return dockerPart(loadContext(context, given.from));
  const { host = "" } = given;
  const files = {
    ...(given.ca ? { "ca.pem": readPem(given.ca) } : {}),
    ...(given.cert ? { "cert.pem": readPem(given.cert) } : {}),
    ...(given.key ? { "key.pem": readPem(given.key) } : {}),
  };
  checkHost(host);
  checkAuthority(files["ca.pem"]);
  const skip = boolean("skip-tls-verify", given["skip-tls-verify"] ?? "");
  return { meta: { ...(host === "" ? {} : { Host: host }), SkipTLSVerify: skip }, files };
}

/** What another context says of its daemon. */
export function dockerPart({ meta, tls }: FullContext): DockerEndpoint {
  const { Host, SkipTLSVerify = false } = meta.Endpoints.docker ?? {};
  return { meta: { ...(Host === undefined ? {} : { Host }), SkipTLSVerify }, files: tls.docker ?? {} };
}

function checkHost(host: string): void {
  if (host === "") return;
  try {
    parseHost(host);
  } catch (error) {
    throw new Error(`unable to apply docker endpoint options: ${errorMessage(error)}`, { cause: error });
  }
}

function checkAuthority(pem: Buffer | undefined): void {
  if (pem === undefined) return;
  try {
    new X509Certificate(pem);
  } catch (error) {
    throw new Error("invalid docker endpoint options: failed to retrieve context tls info: ca.pem seems invalid", {
      cause: error,
    });
  }
}

function boolean(key: string, text: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (text === "" || /^(0|f|false)$/i.test(text)) return false;
  throw new Error(`${key}: parsing ${JSON.stringify(text)}: invalid syntax`);
}
