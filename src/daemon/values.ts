/** Option values by kind: from a flag's text, from daemon.json, and as dockerd prints them. */

import * as json from "../api/json/schema.ts";
import { EngineError } from "../base/errors.ts";
import type { OptionKind } from "./options.ts";

export interface Ulimit {
  readonly soft: number;
  readonly hard: number;
}

export interface AddressPool {
  readonly base: string;
  readonly size: number;
}

export interface RuntimeEntry {
  readonly path: string;
  readonly runtimeArgs?: readonly string[] | undefined;
}

interface Kind {
  /** The word in `--help`; "" for what takes no value. */
  readonly word: string;
  /** The value after this use of the flag; `before` is that of earlier uses. Throws "invalid". */
  readonly fromFlag: (text: string, before: unknown) => unknown;
  /** From the file; `value` is not null. Throws "invalid". */
  readonly fromFile: (value: unknown, key: string) => unknown;
}

const invalid = (message: string): EngineError => new EngineError("invalid", message);

const read =
  <T>(schema: json.Schema<T>) =>
  (value: unknown, key: string): T =>
    schema.read(value, { struct: "Config", field: key });

const strings = json.list(json.string);
const texts = json.map(json.string);

interface UlimitJson {
  Name?: string | undefined;
  Soft?: number | undefined;
  Hard?: number | undefined;
}
const ulimitMap = json.map(
  json.struct<UlimitJson>("Ulimit", { Name: json.string, Soft: json.int64, Hard: json.int64 }),
);

interface PoolJson {
  base?: string | undefined;
  size?: number | undefined;
}
const poolList = json.list(json.struct<PoolJson>("NetworkToSplit", { base: json.string, size: json.int64 }));

interface RuntimeJson {
  path?: string | undefined;
  runtimeArgs?: string[] | undefined;
}
const runtimeMap = json.map(json.struct<RuntimeJson>("Runtime", { path: json.string, runtimeArgs: strings }));

export const KINDS: Readonly<Record<OptionKind, Kind>> = {
  bool: { word: "", fromFlag: parseBool, fromFile: read(json.boolean) },
  int: { word: "int", fromFlag: parseInteger, fromFile: read(json.int64) },
  string: { word: "string", fromFlag: (text) => text, fromFile: read(json.string) },
  bytes: {
    word: "bytes",
    fromFlag: parseBytes,
    fromFile: (value, key) =>
      typeof value === "number" ? read(json.int64)(value, key) : parseBytes(read(json.string)(value, key)),
  },
  list: { word: "list", fromFlag: append, fromFile: read(strings) },
  lists: { word: "list", fromFlag: append, fromFile: read(json.stringOrList) },
  map: {
    word: "map",
    fromFlag: (text, before) => ({ ...(before as object), ...pair(text) }),
    fromFile: (value, key) => ({ ...(key === "features" ? read(json.map(json.boolean)) : read(texts))(value, key) }),
  },
  mapmap: { word: "mapmap", fromFlag: append, fromFile: read(json.map(texts)) },
  ulimits: {
    word: "ulimit",
    fromFlag: (text, before) => ({ ...(before as object), ...parseUlimit(text) }),
    fromFile: (value, key) =>
      mapValues(read(ulimitMap)(value, key), ({ Soft = 0, Hard = 0 }) => ({ soft: Soft, hard: Hard })),
  },
  runtimes: {
    word: "runtime",
    fromFlag: (text, before) => ({ ...(before as object), ...parseRuntime(text) }),
    fromFile: (value, key) =>
      mapValues(read(runtimeMap)(value, key), ({ path = "", runtimeArgs }) => ({ path, runtimeArgs })),
  },
  pools: {
    word: "pool-options",
    fromFlag: (text, before) => [...((before as AddressPool[] | undefined) ?? []), parsePool(text)],
    fromFile: (value, key) => read(poolList)(value, key).map(({ base = "", size = 0 }) => ({ base, size })),
  },
  json: { word: "", fromFlag: (text) => text, fromFile: (value) => value },
};

/** As Go prints a value of this shape in dockerd's conflict message. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (typeof value === "object" && value !== null)
    return `map[${Object.entries(value)
      .map(([key, item]) => `${key}:${show(item)}`)
      .join(" ")}]`;
  return String(value);
}

const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);

function parseBool(text: string): boolean {
  if (!TRUE.has(text) && !FALSE.has(text))
    throw invalid(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
  return TRUE.has(text);
}

function parseInteger(text: string): number {
  if (!/^[+-]?\d{1,15}$/.test(text)) throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

const UNITS: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** "64m", "64MiB", "1024". */
function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw invalid(`invalid size: '${text}'`);
  return Math.floor(Number(match[1]) * 1024 ** (UNITS[(match[2] ?? "").toLowerCase()] ?? 0));
}

function append(text: string, before: unknown): string[] {
  return [...((before as string[] | undefined) ?? []), text];
}

function pair(text: string): Record<string, string> {
  const equals = text.indexOf("=");
  return equals < 0 ? { [text]: "" } : { [text.slice(0, equals)]: text.slice(equals + 1) };
}

function parseUlimit(text: string): Record<string, Ulimit> {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (match === null) throw invalid(`invalid ulimit argument: ${text}`);
  const soft = Number(match[2]);
  const hard = match[3] === undefined ? soft : Number(match[3]);
  if (hard !== -1 && (soft === -1 || soft > hard))
    throw invalid(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { [match[1] ?? ""]: { soft, hard } };
}

function parseRuntime(text: string): Record<string, RuntimeEntry> {
  const equals = text.indexOf("=");
  const [name, path] = [text.slice(0, equals).trim().toLowerCase(), text.slice(equals + 1).trim()];
  if (equals < 0 || name === "" || path === "") throw invalid(`invalid runtime argument: ${text}`);
  return { [name]: { path } };
}

function parsePool(text: string): AddressPool {
  const [, base, size] = /^base=([^,]+),size=(\d{1,3})$/.exec(text) ?? [];
  if (base === undefined) throw invalid(`invalid address pool: ${text}: base=SUBNET,size=BITS is needed`);
  return { base, size: Number(size) };
}

function mapValues<From, To>(record: Readonly<Record<string, From>>, change: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
