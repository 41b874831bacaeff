import { readFileSync } from "node:fs";
import type { TlsOptions } from "node:tls";
import { EngineError, errorMessage } from "../base/errors.ts";
import type { TlsFiles } from "./config/config.ts";

/** Throws "invalid" when a file cannot be read. */
export function readTls(files: TlsFiles | undefined): TlsOptions | undefined {
  if (files === undefined) return undefined;
  try {
    const pair = {
      cert: readFileSync(files.certificate),
      key: readFileSync(files.key),
      minVersion: "TLSv1.2" as const,
    };
    if (files.clientCas === undefined) return pair;
    return { ...pair, ca: readFileSync(files.clientCas), requestCert: true, rejectUnauthorized: true };
  } catch (error) {
    throw new EngineError("invalid", `cannot read a file of tls: ${errorMessage(error)}`, { cause: error });
  }
}
