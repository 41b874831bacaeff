/** From a JSON document to settings: each reader returns a clean value or throws "invalid", naming the place and what is wanted there. */
import { parseDuration } from "../../base/durations.ts";
import { EngineError } from "../../base/errors.ts";
import { compilePattern } from "../auth/patterns.ts";

/** `where` is the way to the value: "registry.auth.rules[0]". */
export type Reader<T> = (value: unknown, where: string) => T;

export function problem(where: string, what: string, value: unknown): EngineError {
  const found = (JSON.stringify(value) ?? "nothing").slice(0, 100);
  return new EngineError("invalid", `${where}: ${what}, not ${found}`);
}

export const text: Reader<string> = (value, where) => {
  if (typeof value === "string" && value !== "") return value;
  throw problem(where, "a text is expected", value);
};

export const flag: Reader<boolean> = (value, where) => {
  if (typeof value === "boolean") return value;
  throw problem(where, "true or false is expected", value);
};

export const count: Reader<number> = (value, where) => {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw problem(where, "a whole number is expected", value);
};

const POWERS = "kmgtp";

/** A number of bytes, or "500MB", "1.5GiB": 1024 each step, as Docker counts. */
export const bytes: Reader<number> = (value, where) => {
  if (typeof value === "number") return count(value, where);
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(String(value)) ?? [];
  if (number === undefined) throw problem(where, 'a size is expected, such as "10GB"', value);
  return Math.floor(Number(number) * 1024 ** (unit === "" ? 0 : POWERS.indexOf(unit.toLowerCase()) + 1));
};

const DAY = 24 * 3600_000;

/** "90s", "24h", "7d", "2w" as milliseconds. */
export const duration: Reader<number> = (value, where) => {
  const days = /^(\d+(?:\.\d+)?)([dw])$/.exec(String(value));
  if (days !== null) return Number(days[1]) * (days[2] === "w" ? 7 * DAY : DAY);
  const nanoseconds = typeof value === "string" ? parseDuration(value) : undefined;
  if (nanoseconds === undefined || nanoseconds < 0)
    throw problem(where, 'a duration is expected, such as "24h" or "7d"', value);
  return nanoseconds / 1e6;
};

export const pattern: Reader<RegExp> = (value, where) => {
  const compiled = typeof value === "string" ? compilePattern(value) : undefined;
  if (compiled === undefined) throw problem(where, 'a pattern of names is expected, such as "team/**"', value);
  return compiled;
};

/** "http://…" or "https://…", without a slash at its end. */
export const url: Reader<string> = (value, where) => {
  const parsed = typeof value === "string" ? URL.parse(value) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) throw problem(where, "an http(s) URL is expected", value);
  return String(value).replace(/\/+$/, "");
};

export function oneOf<T extends string>(...choices: readonly T[]): Reader<T> {
  return (value, where) => {
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    throw problem(where, `one of ${choices.join(", ")} is expected`, value);
  };
}

export function list<T>(item: Reader<T>): Reader<readonly T[]> {
  return (value, where) => {
    if (!Array.isArray(value)) throw problem(where, "a list is expected", value);
    return value.map((one, at) => item(one, `${where}[${at}]`));
  };
}

export function mapOf<T>(item: Reader<T>): Reader<Readonly<Record<string, T>>> {
  return (value, where) => {
    const entries = Object.entries(record(value, where));
    return Object.fromEntries(entries.map(([key, one]) => [key, item(one, `${where}.${key}`)]));
  };
}

type Fields<T> = { readonly [K in keyof T]-?: Reader<NonNullable<T[K]>> };

/** Keys are written with dashes ("read-only" for `readOnly`). Those of `needed` must be there. */
export function object<T extends object>(fields: Fields<T>, needed: readonly (keyof T & string)[] = []): Reader<T> {
  const byKey = new Map((Object.keys(fields) as (keyof T & string)[]).map((name) => [dashed(name), name]));
  return (value, where) => {
    const result: Partial<T> = {};
    for (const [key, one] of Object.entries(record(value, where))) {
      const name = byKey.get(key);
      if (name === undefined)
        throw new EngineError("invalid", `${where}: there is no setting ${JSON.stringify(key)}`, {
          hint: `the settings here are ${[...byKey.keys()].join(", ")}`,
        });
      if (one !== null) result[name] = fields[name](one, `${where}.${key}`);
    }
    for (const name of needed)
      if (result[name] === undefined) throw new EngineError("invalid", `${where}: ${dashed(name)} is missing`);
    return Object.freeze(result) as T;
  };
}

function record(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw problem(where, "an object is expected", value);
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
