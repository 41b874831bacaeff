/** Query parameters: parsed as Go's net/url does, read by type as Docker's handlers do. */
import { EngineError } from "../base/errors.ts";
import type { Filters } from "../images/images.ts";
import type { Platform } from "../oci/types.ts";
import { readFilters } from "./filters.ts";

export type Query = ReadonlyMap<string, readonly string[]>;

/** Reads one parameter from all its values; `values` is empty when the parameter is absent. */
export type Param<T> = (values: readonly string[], name: string) => T;
export type ParamTable = Readonly<Record<string, Param<unknown>>>;
export type ParamValues<Table extends ParamTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Param<infer T> ? T : never;
};

/** Throws "invalid" for a bad percent escape. */
export function parseQuery(text: string): Query {
  const query = new Map<string, string[]>();
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = unescapeQuery(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : unescapeQuery(pair.slice(equals + 1));
    const values = query.get(name);
    if (values === undefined) query.set(name, [value]);
    else values.push(value);
  }
  return query;
}

export function readParams(table: ParamTable, query: Query): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(table)) values[name] = table[name]?.(query.get(name) ?? [], name);
  return values;
}

/** Throws "invalid" with Go's text. */
export function unescapeQuery(text: string): string {
  return unescapeComponent(text.includes("+") ? text.replaceAll("+", " ") : text);
}

export function unescapeComponent(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    const bad = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(text)?.[0] ?? text.slice(text.indexOf("%"), text.indexOf("%") + 3);
    throw new EngineError("invalid", `invalid URL escape ${JSON.stringify(bad)}`);
  }
}

const FALSE = new Set(["", "0", "no", "false", "none"]);

/** Docker's booleans: everything is true but absent, "", "0", "no", "false", "none". */
export const flag: Param<boolean> = ([value = ""]) => !FALSE.has(value.trim().toLowerCase());

/** As `flag`, with true for an absent parameter. */
export const flagOnByDefault: Param<boolean> = (values, name) => values.length === 0 || flag(values, name);

/** The first value; undefined when absent or empty. */
export const text: Param<string | undefined> = ([value]) => (value === "" ? undefined : value);

/** The first value as it stands, "" kept apart from absent. */
export const verbatim: Param<string | undefined> = ([value]) => value;

export const texts: Param<readonly string[]> = (values) => values;

/** A whole number; undefined when absent or empty. "invalid" with Go's text otherwise. */
export const integer: Param<number | undefined> = ([value = ""]) => (value === "" ? undefined : parseGoInt(value));

export const requiredInteger: Param<number> = ([value = ""]) => parseGoInt(value);

export const required: Param<string> = ([value = ""], name) => {
  if (value === "") throw new EngineError("invalid", `bad parameter: '${name}' cannot be empty`);
  return value;
};

/** A JSON map of filters whose names are all in `accepted`; undefined accepts every name. */
export function filters(accepted?: readonly string[]): Param<Filters> {
  return ([value = ""]) => readFilters(value, accepted);
}

/** Seconds since the epoch with an optional fraction ("1700000000.5"), as nanoseconds; undefined when absent, empty or 0. */
export const timestamp: Param<bigint | undefined> = ([value = ""]) => {
  const match = /^([+-]?\d{1,18})(?:\.(\d{1,9})\d*)?$/.exec(value);
  if (value === "") return undefined;
  if (match === null)
    throw new EngineError("invalid", `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  const nanoseconds = BigInt(match[1] ?? 0) * 1_000_000_000n + BigInt((match[2] ?? "").padEnd(9, "0"));
  return nanoseconds === 0n ? undefined : nanoseconds;
};

/** A platform as JSON: {"os":"linux","architecture":"arm64"}. */
export const platformJson: Param<Platform | undefined> = ([value = ""]) => {
  if (value === "") return undefined;
  const platform = parsePlatformJson(value);
  if (platform === undefined) throw new EngineError("invalid", "failed to parse platform");
  return platform;
};

/** Several of them: the parameter repeated, or a JSON array. */
export const platformsJson: Param<readonly Platform[]> = (values, name) =>
  values.filter((value) => value !== "").flatMap((value) => splitArray(value).map((item) => readPlatform(item, name)));

function splitArray(value: string): string[] {
  if (!value.startsWith("[")) return [value];
  try {
    const parsed: unknown = JSON.parse(value);
    if (Array.isArray(parsed)) return parsed.map((item) => (typeof item === "string" ? item : JSON.stringify(item)));
  } catch {}
  return [value];
}

function readPlatform(value: string, name: string): Platform {
  const platform = platformJson([value], name);
  if (platform === undefined) throw new EngineError("invalid", "failed to parse platform");
  return platform;
}

/** A platform as text: "linux/arm64/v8". */
export const platformText: Param<Platform | undefined> = ([value = ""]) => {
  if (value === "") return undefined;
  const parts = value.toLowerCase().split("/");
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part)))
    throw new EngineError(
      "invalid",
      `${JSON.stringify(value)}: unknown operating system or architecture: invalid argument`,
    );
  const [os = "linux", architecture, variant] = parts;
  return makePlatform(os, architecture ?? hostArchitecture(), variant);
};

/** The same, and "all": no platform has this name. */
export const platformTextOrAll: Param<Platform | "all" | undefined> = (values, name) =>
  values[0] === "all" ? "all" : platformText(values, name);

function parsePlatformJson(value: string): Platform | undefined {
  try {
    const parsed: unknown = JSON.parse(value);
    const { os, architecture, variant } = parsed as Record<string, unknown>;
    if (typeof os !== "string" || typeof architecture !== "string" || os === "" || architecture === "")
      return undefined;
    if (variant !== undefined && typeof variant !== "string") return undefined;
    return makePlatform(os, architecture, variant);
  } catch {
    return undefined;
  }
}

const makePlatform = (os: string, architecture: string, variant: string | undefined): Platform => ({
  os,
  architecture,
  ...(variant === undefined || variant === "" ? {} : { variant }),
});

const hostArchitecture = (): string => ({ x64: "amd64", arm64: "arm64" })[process.arch as string] ?? process.arch;

function parseGoInt(value: string): number {
  if (!/^[+-]?\d+$/.test(value))
    throw new EngineError("invalid", `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new EngineError("invalid", `strconv.Atoi: parsing ${JSON.stringify(value)}: value out of range`);
  return number;
}
