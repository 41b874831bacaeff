/** Docker's certs.d: a folder per registry with `*.crt` (authorities), and pairs `x.cert`, `x.key` (client certificates). */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { EngineError, errnoOf } from "../base/errors.ts";

export interface CertificateFiles {
  /** Changes when a file does. */
  readonly stamp: string;
  readonly authorities: readonly string[];
  readonly pairs: readonly { readonly cert: string; readonly key: string }[];
}

/** Of the first folder that has something for the host; undefined when none has. "invalid" for half of a pair. */
export function certificateFiles(folders: readonly string[], host: string): CertificateFiles | undefined {
  // A host from a redirect must not lead elsewhere.
  if (!/^[\w.:[\]-]+$/.test(host) || host.startsWith(".")) return undefined;
  for (const folder of folders) {
    const home = join(folder, host);
    const names = namesIn(home);
    if (names.some((name) => /\.(crt|cert|key)$/.test(name))) return describe(home, names);
  }
  return undefined;
}

export function readAll(paths: readonly string[]): Buffer[] {
  return paths.map((path) => readFileSync(path));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(errnoOf(error) ?? "")) return [];
    throw error;
  }
}

function describe(home: string, names: readonly string[]): CertificateFiles {
  const ending = (suffix: string) => names.filter((name) => name.endsWith(suffix)).map((name) => join(home, name));
  const pairs = ending(".cert").map((cert) => ({ cert, key: `${cert.slice(0, -5)}.key` }));
  for (const key of ending(".key"))
    if (!pairs.some((pair) => pair.key === key))
      throw new EngineError("invalid", `missing client certificate ${key.slice(0, -4)}.cert for key ${key}`);
  for (const { cert, key } of pairs)
    if (!ending(".key").includes(key))
      throw new EngineError("invalid", `missing key ${key} for client certificate ${cert}`);
  const authorities = ending(".crt");
  const files = [...authorities, ...pairs.flatMap(({ cert, key }) => [cert, key])];
  return { stamp: files.map(stampOf).join(";"), authorities, pairs };
}

function stampOf(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${path}:${mtimeMs}:${size}:${ino}`;
}
