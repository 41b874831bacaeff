/**
 * From untrusted bytes to the specification's documents. Each function returns a clean value (known fields only, absent
 * instead of null) or throws "invalid" with a message that names the document and the field.
 */
import { type Digest, isDigest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { HOST_PLATFORM } from "./platform.ts";
import type {
  Descriptor,
  ImageConfigFile,
  ImageHistory,
  ImageIndex,
  ImageManifest,
  ImageRunConfig,
  Platform,
} from "./types.ts";

/** Bounds. Bytes, and counts of array members. */
export const LIMITS = {
  manifestBytes: 4 << 20,
  configBytes: 8 << 20,
  /** As many as Docker accepts, and what one overlay mount takes. */
  layers: 127,
  manifests: 1024,
  history: 8192,
  strings: 65536,
  /** How deep indexes may lie inside each other. */
  indexDepth: 4,
} as const;

type Json = Readonly<Record<string, unknown>>;

/** A JSON object of at most `limit` bytes; `what` names the document in errors. */
export function parseJsonObject(bytes: Uint8Array, what: string, limit: number): Json {
  return object(parseJson(bytes, what, limit), what);
}

/** Any JSON value. */
export function parseJson(bytes: Uint8Array, what: string, limit: number): unknown {
  if (bytes.length > limit) throw bad(what, `has ${bytes.length} bytes, at most ${limit} are accepted`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw bad(what, "is not valid JSON");
  }
}

export function parseIndex(bytes: Uint8Array, what = "image index"): ImageIndex {
  const json = parseJsonObject(bytes, what, LIMITS.manifestBytes);
  checkSchema(json, what);
  if (json.layers !== undefined || json.config !== undefined) throw bad(what, "has layers: it is no index");
  const manifests = list(json.manifests, `${what}: manifests`, LIMITS.manifests);
  return {
    schemaVersion: 2,
    mediaType: text(json.mediaType, `${what}: mediaType`),
    manifests: manifests.map((item, at) => parseDescriptor(item, `${what}: manifests[${at}]`)),
    annotations: strings(json.annotations, `${what}: annotations`),
  };
}

export function parseManifest(bytes: Uint8Array, what = "image manifest"): ImageManifest {
  const json = parseJsonObject(bytes, what, LIMITS.manifestBytes);
  checkSchema(json, what);
  if (json.manifests !== undefined) throw bad(what, "has manifests: it is an index");
  const layers = list(json.layers, `${what}: layers`, LIMITS.layers);
  return {
    schemaVersion: 2,
    mediaType: text(json.mediaType, `${what}: mediaType`),
    artifactType: text(json.artifactType, `${what}: artifactType`),
    config: parseDescriptor(json.config, `${what}: config`),
    layers: layers.map((item, at) => parseDescriptor(item, `${what}: layers[${at}]`)),
    subject: json.subject == null ? undefined : parseDescriptor(json.subject, `${what}: subject`),
    annotations: strings(json.annotations, `${what}: annotations`),
  };
}

function checkSchema(json: Json, what: string): void {
  if (json.schemaVersion !== 2) throw bad(what, `has schema version ${show(json.schemaVersion)}, expected 2`);
}

export function parseDescriptor(value: unknown, what: string): Descriptor {
  const json = object(value, what);
  const { digest, size } = json;
  if (typeof digest !== "string" || !isDigest(digest)) throw bad(what, `has the digest ${show(digest)}`);
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw bad(what, `has the size ${show(size)}`);
  const annotations = strings(json.annotations, `${what}: annotations`);
  const artifactType = text(json.artifactType, `${what}: artifactType`);
  const platform = json.platform == null ? undefined : parsePlatformObject(json.platform, `${what}: platform`);
  const urls = json.urls == null ? undefined : textList(json.urls, `${what}: urls`);
  return {
    mediaType: text(json.mediaType, `${what}: mediaType`) ?? "",
    digest,
    size: size as number,
    ...(urls !== undefined && { urls }),
    ...(annotations !== undefined && { annotations }),
    ...(artifactType !== undefined && { artifactType }),
    ...(platform !== undefined && { platform }),
  };
}

function parsePlatformObject(value: unknown, what: string): Platform {
  const json = object(value, what);
  const variant = text(json.variant, `${what}: variant`);
  const version = text(json["os.version"], `${what}: os.version`);
  const features = json["os.features"] == null ? undefined : textList(json["os.features"], `${what}: os.features`);
  return {
    os: text(json.os, `${what}: os`) ?? "",
    architecture: text(json.architecture, `${what}: architecture`) ?? "",
    ...(variant !== undefined && variant !== "" && { variant }),
    ...(version !== undefined && version !== "" && { "os.version": version }),
    ...(features !== undefined && { "os.features": features }),
  };
}

/** Old images say neither their system nor their architecture: they are taken for the host's. */
export function parseImageConfig(bytes: Uint8Array, what = "image configuration"): ImageConfigFile {
  const json = parseJsonObject(bytes, what, LIMITS.configBytes);
  const platform = parsePlatformObject(json, what);
  const rootfs = object(json.rootfs, `${what}: rootfs`);
  if (rootfs.type !== "layers") throw bad(what, `has the rootfs type ${show(rootfs.type)}, expected "layers"`);
  const history = json.history == null ? undefined : list(json.history, `${what}: history`, LIMITS.history);
  return compact<ImageConfigFile>({
    ...platform,
    os: platform.os || HOST_PLATFORM.os,
    architecture: platform.architecture || HOST_PLATFORM.architecture,
    created: text(json.created, `${what}: created`),
    author: text(json.author, `${what}: author`),
    comment: text(json.comment, `${what}: comment`),
    docker_version: text(json.docker_version, `${what}: docker_version`),
    config: json.config == null ? undefined : parseRunConfig(json.config, `${what}: config`),
    rootfs: { type: "layers", diff_ids: diffIds(rootfs.diff_ids, `${what}: rootfs.diff_ids`) },
    history: history?.map((item, at) => parseHistory(item, `${what}: history[${at}]`)),
  });
}

function diffIds(value: unknown, what: string): Digest[] {
  const ids = value == null ? [] : textList(value, what);
  if (ids.length > LIMITS.layers) throw bad(what, `has ${ids.length} members, at most ${LIMITS.layers} are accepted`);
  for (const id of ids) if (!isDigest(id)) throw bad(what, `has the digest ${show(id)}`);
  return ids;
}

function parseHistory(value: unknown, what: string): ImageHistory {
  const json = object(value, what);
  return compact<ImageHistory>({
    created: text(json.created, `${what}: created`),
    created_by: text(json.created_by, `${what}: created_by`),
    author: text(json.author, `${what}: author`),
    comment: text(json.comment, `${what}: comment`),
    empty_layer: json.empty_layer === true ? true : undefined,
  });
}

type Check = (value: unknown, what: string) => unknown;

/** Fields of the run configuration and how each is checked. */
const RUN_CONFIG: Readonly<Record<keyof ImageRunConfig, Check>> = {
  User: text,
  ExposedPorts: objectMap,
  Env: textList,
  Entrypoint: textList,
  Cmd: textList,
  Volumes: objectMap,
  WorkingDir: text,
  Labels: strings,
  StopSignal: text,
  ArgsEscaped: flag,
  Healthcheck: object,
  OnBuild: textList,
  Shell: textList,
};

export function parseRunConfig(value: unknown, what: string): ImageRunConfig {
  const json = object(value, what);
  const entries = Object.entries(RUN_CONFIG)
    .filter(([name]) => json[name] != null)
    .map(([name, check]) => [name, check(json[name], `${what}.${name}`)]);
  return Object.fromEntries(entries) as ImageRunConfig;
}

function objectMap(value: unknown, what: string): Record<string, Record<string, unknown>> {
  const keys = Object.keys(object(value, what));
  for (const key of keys) if (key.includes("\0")) throw bad(what, "has a NUL byte");
  return Object.fromEntries(keys.map((key) => [key, {}]));
}

function flag(value: unknown, what: string): boolean {
  if (typeof value !== "boolean") throw bad(what, "is not a boolean");
  return value;
}

function object(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad(what, "is not an object");
  return value as Json;
}

function list(value: unknown, what: string, limit: number): readonly unknown[] {
  if (!Array.isArray(value)) throw bad(what, "is not an array");
  if (value.length > limit) throw bad(what, `has ${value.length} members, at most ${limit} are accepted`);
  return value;
}

function text(value: unknown, what: string): string | undefined {
  if (value == null) return undefined;
  if (typeof value !== "string") throw bad(what, "is not a string");
  if (value.includes("\0")) throw bad(what, "has a NUL byte");
  return value;
}

function textList(value: unknown, what: string): string[] {
  return list(value, what, LIMITS.strings).map((item, at) => {
    const found = text(item, `${what}[${at}]`);
    if (found === undefined) throw bad(`${what}[${at}]`, "is not a string");
    return found;
  });
}

function strings(value: unknown, what: string): Record<string, string> | undefined {
  if (value == null) return undefined;
  return Object.fromEntries(Object.entries(object(value, what)).map(([key, item]) => [key, text(item, what) ?? ""]));
}

function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 200) ?? "undefined";
}

function bad(what: string, problem: string): EngineError {
  return new EngineError("invalid", `invalid ${what}: ${problem}`);
}
