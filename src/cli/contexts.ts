/** Stored contexts, in the docker CLI's own place and form. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf } from "../base/errors.ts";
import { DEFAULT_HOST } from "../client/host.ts";
import type { Context } from "./context.ts";
import { contextFolder, type StoredContext } from "./endpoint.ts";

export interface KnownContext {
  readonly name: string;
  readonly description: string;
  readonly host: string;
}

/** By endpoint ("docker"), then by file ("ca.pem"). */
export type TlsFiles = Readonly<Record<string, Readonly<Record<string, Buffer>>>>;

export interface FullContext {
  readonly meta: StoredContext;
  readonly tls: TlsFiles;
}

const IN_MEMORY = "<IN MEMORY>";
export const DEFAULT_DESCRIPTION = "Current DOCKER_HOST based configuration";

/** "default" first; it is what the environment says. */
export function listContexts(context: Context): KnownContext[] {
  const host = context.env.GANTRY_HOST || context.env.DOCKER_HOST || DEFAULT_HOST;
  const standard = { name: "default", description: DEFAULT_DESCRIPTION, host };
  const folder = join(context.configFolder, "contexts", "meta");
  const stored = existsSync(folder) ? readdirSync(folder).flatMap((name) => read(join(folder, name, "meta.json"))) : [];
  return [standard, ...stored.toSorted((a, b) => (a.name < b.name ? -1 : 1))];
}

/** Throws when there is none of this name. */
export function contextNamed(context: Context, name: string): KnownContext {
  const found = listContexts(context).find((one) => one.name === name);
  if (found === undefined) throw notFound(name);
  return found;
}

/** The context with what its endpoints' TLS needs. "default" is what flags and environment say now. Throws when there is none. */
export function loadContext(context: Context, name: string): FullContext {
  if (name === "default") return defaultContext(context);
  const [meta] = readStored(metaFile(context, name));
  if (meta === undefined) throw notFound(name);
  const folder = contextFolder(context.configFolder, "tls", name);
  const tls = Object.fromEntries(filesIn(folder).map((endpoint) => [endpoint, readAll(join(folder, endpoint))]));
  return { meta, tls };
}

function defaultContext(context: Context): FullContext {
  const { host, tls } = context.endpoint;
  const docker = { Host: host, SkipTLSVerify: tls !== undefined && !tls.verify };
  const given = { "ca.pem": tls?.ca, "cert.pem": tls?.cert, "key.pem": tls?.key };
  const files = Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    meta: { Name: "default", Metadata: {}, Endpoints: { docker } },
    tls: files.length === 0 ? {} : { docker: Object.fromEntries(files.map(([name, path]) => [name, readPem(path)])) },
  };
}

/** Replaces what is there. Keys are its owner's alone. */
export function storeContext(context: Context, { meta, tls }: FullContext): void {
  const folder = contextFolder(context.configFolder, "tls", meta.Name);
  rmSync(folder, { recursive: true, force: true });
  for (const [endpoint, files] of Object.entries(tls)) {
    mkdirSync(join(folder, endpoint), { recursive: true, mode: 0o700 });
    for (const [name, bytes] of Object.entries(files))
      writeFileSync(join(folder, endpoint, name), bytes, { mode: 0o600 });
  }
  // Last, and at once: it is what makes the context known.
  const file = metaFile(context, meta.Name);
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  writeFileSync(`${file}.new`, JSON.stringify(meta), { mode: 0o644 });
  renameSync(`${file}.new`, file);
}

export function removeContext(context: Context, name: string): void {
  rmSync(dirname(metaFile(context, name)), { recursive: true, force: true });
  rmSync(contextFolder(context.configFolder, "tls", name), { recursive: true, force: true });
}

/** Where `inspect` says it is kept. */
export function storagePaths(context: Context, name: string) {
  if (name === "default") return { MetadataPath: IN_MEMORY, TLSPath: IN_MEMORY };
  const folder = (kind: "meta" | "tls") => contextFolder(context.configFolder, kind, name);
  return { MetadataPath: folder("meta"), TLSPath: folder("tls") };
}

/** Throws for a name that no new context can have. */
export function checkNewName(context: Context, name: string): void {
  if (name === "default") throw new Error('"default" is a reserved context name');
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/.test(name))
    throw new Error(
      `context name ${JSON.stringify(name)} is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"`,
    );
  if (existsSync(metaFile(context, name))) throw new Error(`context ${JSON.stringify(name)} already exists`);
}

/** Throws in docker's words. */
export function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    throw new Error(`open ${path}: no such file or directory`, { cause: error });
  }
}

function metaFile(context: Context, name: string): string {
  return join(contextFolder(context.configFolder, "meta", name), "meta.json");
}

function notFound(name: string): Error {
  return new Error(`context ${JSON.stringify(name)}: context not found`);
}

function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).toSorted() : [];
}

function readAll(folder: string): Record<string, Buffer> {
  return Object.fromEntries(filesIn(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

function read(file: string): KnownContext[] {
  return readStored(file).map(({ Name, Metadata, Endpoints }) => ({
    name: Name,
    description: Metadata?.Description ?? "",
    host: Endpoints.docker?.Host ?? "",
  }));
}

function readStored(file: string): StoredContext[] {
  try {
    const stored = JSON.parse(readFileSync(file, "utf8")) as StoredContext;
    return [{ ...stored, Endpoints: stored.Endpoints ?? {} }];
  } catch {
    return [];
  }
}
