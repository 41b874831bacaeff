/**
 * Request bodies decoded as Go's encoding/json would: keys match without regard to case, unknown ones are ignored, null leaves a
 * field unset, a value of the wrong type is refused with Go's words. A schema is checked against the wire type by the compiler.
 */
import { EngineError } from "../../base/errors.ts";

export interface Place {
  /** The innermost struct's Go name, for messages. */
  readonly struct: string;
  /** Dotted path of fields. */
  readonly field: string;
}

export interface Schema<T> {
  /** Go's name of the type, for messages. */
  readonly type: string;
  /** `value` is never null. Throws "invalid". */
  read(value: unknown, place: Place | undefined): T;
  /** What Go makes of a null inside a list or map. */
  readonly zero: () => T;
}

/** Decodes a whole document; null is undefined. Throws "invalid". */
export function decode<T>(schema: Schema<T>, value: unknown): T | undefined {
  return value === null || value === undefined ? undefined : schema.read(value, undefined);
}

export const string: Schema<string> = primitive("string", "", (value) => typeof value === "string");

export const boolean: Schema<boolean> = primitive("bool", false, (value) => typeof value === "boolean");

export const int64: Schema<number> = integer("int64", -(2 ** 63), 2 ** 63);
export const uint32: Schema<number> = integer("uint32", 0, 2 ** 32 - 1);
export const uint16: Schema<number> = integer("uint16", 0, 2 ** 16 - 1);

/** Any JSON value, handed on as it is. */
export const anything: Schema<NonNullable<unknown>> = {
  type: "interface {}",
  zero: () => ({}),
  read: (value) => value as NonNullable<unknown>,
};

export function list<T>(element: Schema<T>): Schema<T[]> {
  const type = `[]${element.type}`;
  return {
    type,
    zero: () => [],
    read(value, place) {
      if (!Array.isArray(value)) throw mismatch(value, type, place);
      return value.map((item: unknown) => (item === null ? element.zero() : element.read(item, place)));
    },
  };
}

export function map<T>(element: Schema<T>): Schema<Record<string, T>> {
  const type = `map[string]${element.type}`;
  return {
    type,
    zero: () => ({}),
    read(value, place) {
      if (!isObject(value)) throw mismatch(value, type, place);
      const result: Record<string, T> = {};
      for (const [key, item] of Object.entries(value)) {
        const within = place && { struct: place.struct, field: `${place.field}.${key}` };
        setOwn(result, key, item === null ? element.zero() : element.read(item, within));
      }
      return result;
    },
  };
}

/** An element of a list or map that may be null and stays so. */
export function nullable<T>(element: Schema<T>): Schema<T | null> {
  return { type: element.type, zero: () => null, read: element.read };
}

/** A list of strings that may also be given as one string (Cmd, Entrypoint, Shell). */
export const stringOrList: Schema<string[]> = {
  type: "[]string",
  zero: () => [],
  read: (value, place) => (typeof value === "string" ? [value] : list(string).read(value, place)),
};

/** A string that is one of a closed set; other strings pass too, since it is the engine that refuses them by name. */
export const word = <T extends string>(): Schema<T> => string as Schema<string> as Schema<T>;

export type Fields<T> = { readonly [Key in keyof T]-?: Schema<NonNullable<T[Key]>> };

/** An object with known fields. `name` is what Go's messages call it. */
export function struct<T extends object>(name: string, fields: Fields<T>): Schema<T> {
  const schemas = fields as Readonly<Record<string, Schema<unknown>>>;
  const names = new Map(Object.keys(schemas).map((field) => [field.toLowerCase(), field]));
  return {
    type: name,
    zero: () => ({}) as T,
    read(value, place) {
      if (!isObject(value)) throw mismatch(value, name, place);
      const result: Record<string, unknown> = {};
      for (const [key, item] of Object.entries(value)) {
        const field = names.get(key.toLowerCase());
        const schema = field === undefined ? undefined : schemas[field];
        if (field === undefined || schema === undefined || item === null) continue;
        const path = place === undefined ? field : `${place.field}.${field}`;
        result[field] = schema.read(item, { struct: name, field: path });
      }
      return result as T;
    },
  };
}

function primitive<T>(type: string, zero: T, accepts: (value: unknown) => boolean): Schema<T> {
  return {
    type,
    zero: () => zero,
    read(value, place) {
      if (!accepts(value)) throw mismatch(value, type, place);
      return value as T;
    },
  };
}

function integer(type: string, min: number, max: number): Schema<number> {
  return primitive(type, 0, (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max);
}

function mismatch(value: unknown, type: string, place: Place | undefined): EngineError {
  const into = place === undefined ? "Go value" : `Go struct field ${place.struct}.${place.field}`;
  return new EngineError("invalid", `json: cannot unmarshal ${kindOf(value)} into ${into} of type ${type}`);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  return typeof value === "number" ? `number ${value}` : typeof value;
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Sets a key that came from outside: "__proto__" must not reach the prototype. */
function setOwn(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}
