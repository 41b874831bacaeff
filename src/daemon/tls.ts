/** TLS for TCP sockets: files from the configuration, Docker's default places. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TlsOptions } from "node:tls";
import { EngineError, errorMessage } from "../base/errors.ts";
import type { Configuration } from "./configuration.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Undefined when TLS is off. Throws "invalid" when a file can't be read. */
export function tlsOptions(configuration: Configuration, env: Environment): TlsOptions | undefined {
  const verify = configuration.flag("tlsverify") ?? (env.DOCKER_TLS_VERIFY ?? "") !== "";
  if (!verify && configuration.flag("tls") !== true) return undefined;
  const folder = env.DOCKER_CERT_PATH || join(env.HOME ?? "/root", ".docker");
  const read = (key: string, name: string) => readPem(configuration.text(key) ?? join(folder, name));
  const options: TlsOptions = {
    cert: read("tlscert", "cert.pem"),
    key: read("tlskey", "key.pem"),
    minVersion: "TLSv1.2",
  };
  return verify
    ? { ...options, ca: read("tlscacert", "ca.pem"), requestCert: true, rejectUnauthorized: true }
    : options;
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new EngineError("invalid", `could not read TLS file ${path}: ${errorMessage(error)}`, { cause: error });
  }
}
