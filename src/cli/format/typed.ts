/** JSON from the daemon as the structs that Docker's clients decode it into: what a template sees first. */
import { NIL, Spelled, withTraits } from "../../base/template/go-values.ts";
import { structure, type Value } from "../../base/template/print.ts";
import { INSPECT_STRUCTS } from "./inspect-types.ts";

export type InspectedType = "container" | "image" | "network" | "volume";

/** Fields that the struct does not know are dropped. Throws when a value has another type than its field, as a decoder does. */
export function typedValue(kind: InspectedType, json: unknown): Value {
  return structOf(kind, json);
}

interface Field {
  readonly name: string;
  readonly json: string;
  /** Its fields are also the outer struct's. */
  readonly embedded: boolean;
  readonly type: string;
  readonly omitEmpty: boolean;
}

const fieldsByStruct = new Map<string, readonly Field[]>();

function fieldsOf(struct: string): readonly Field[] {
  const known = fieldsByStruct.get(struct);
  if (known !== undefined) return known;
  const text = (INSPECT_STRUCTS as Readonly<Record<string, string>>)[struct];
  if (text === undefined) throw new Error(`no struct ${struct} in the table`);
  const fields = text.split(" ").filter(Boolean).map(parseField);
  fieldsByStruct.set(struct, fields);
  return fields;
}

function parseField(text: string): Field {
  if (text.startsWith("+")) {
    const struct = text.slice(1);
    return { name: struct, json: "", embedded: true, type: struct, omitEmpty: false };
  }
  const omitEmpty = text.endsWith("?");
  const colon = text.indexOf(":");
  const [name = "", json = name] = text.slice(0, colon).split("=");
  return { name, json, embedded: false, type: text.slice(colon + 1, omitEmpty ? -1 : undefined), omitEmpty };
}

function structOf(struct: string, json: unknown): object {
  const given = (json ?? {}) as Record<string, unknown>;
  if (typeof given !== "object") throw new Error(`${struct} is no object`);
  const value: Record<string, Value> = {};
  const order: (readonly [string, Value])[] = [];
  const members: (readonly [string, Value])[] = [];
  for (const { name, json: key, embedded, type, omitEmpty } of fieldsOf(struct)) {
    const field = embedded ? structOf(type, given) : convert(type, given[key]);
    if (embedded) Object.assign(value, field);
    value[name] = field;
    order.push([name, field]);
    if (embedded) members.push(...membersOf(field as object));
    else if (!omitEmpty || !isEmpty(field)) members.push([key, field]);
  }
  membersByStruct.set(value, members);
  return withTraits(structure(value, order), { members });
}

const membersByStruct = new WeakMap<object, readonly (readonly [string, Value])[]>();
const membersOf = (struct: object) => membersByStruct.get(struct) ?? [];

function convert(type: string, json: unknown): Value {
  const scalar = SCALARS[type];
  if (scalar !== undefined) return scalar(json);
  const missing = json === undefined || json === null;
  if (type.startsWith("*")) return missing ? NIL : convert(type.slice(1), json);
  if (type.startsWith("[]")) return missing ? withTraits([], { nil: true }) : listOf(type.slice(2), json);
  if (type.startsWith("{")) return mapOf(type.slice(1, -1), json);
  return structOf(type, json);
}

function listOf(type: string, json: unknown): Value {
  if (!Array.isArray(json)) throw new Error("no list");
  return json.map((one) => convert(type, one));
}

function mapOf(type: string, json: unknown): Value {
  const entries = Object.entries((json ?? {}) as Record<string, unknown>);
  const map = Object.fromEntries(entries.map(([key, one]) => [key, convert(type, one)]));
  const nil = json === undefined || json === null;
  return withTraits(map, { nil, element: type === "any" ? null : convert(type, undefined) });
}

const checked =
  <T>(type: string, zero: T) =>
  (json: unknown): T => {
    if (json === undefined || json === null) return zero;

    if (typeof json !== type) throw new Error(`no ${type}`);
    return json as T;
  };

const number = checked("number", 0);
const text = checked("string", "");

const SCALARS: Readonly<Record<string, (json: unknown) => Value>> = {
  s: text,
  b: checked("boolean", false),
  i: number,
  t: (json) => timeOf(text(json)),
  d: (json) => durationOf(number(json)),
  any: (json) => json ?? null,
};

function isEmpty(value: Value): boolean {
  if (value === "" || value === 0 || value === false || value === null || value === NIL) return true;
  if (value instanceof Spelled) return value.json === 0;
  if (Array.isArray(value)) return value.length === 0;
  return (
    typeof value === "object" && !membersByStruct.has(value as object) && Object.keys(value as object).length === 0
  );
}

/** An RFC 3339 time as time.Time prints: "2026-01-02 03:04:05.5 +0000 UTC". */
function timeOf(json: string): Spelled {
  const iso = json === "" ? "0001-01-01T00:00:00Z" : json;
  const match = /^(\d{4,}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)(Z|([+-]\d\d):(\d\d))$/.exec(iso);
  if (match === null) throw new Error("no time");
  const [, date, clock, zone, hours, minutes] = match;
  const offset = `${hours}${minutes}`;
  return new Spelled(`${date} ${clock} ${zone === "Z" ? "+0000 UTC" : `${offset} ${offset}`}`, iso);
}

/** Nanoseconds as time.Duration prints: "1m30s", "1.5ms", "0s". */
function durationOf(nanoseconds: number): Spelled {
  return new Spelled(durationText(nanoseconds), nanoseconds);
}

function durationText(nanoseconds: number): string {
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 0) return `-${durationText(-nanoseconds)}`;
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`;
  const minutes = Math.floor(nanoseconds / 60e9);
  const seconds = `${(nanoseconds - minutes * 60e9) / 1e9}s`;
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return `${hours > 0 ? `${hours}h` : ""}${minutes % 60}m${seconds}`;
}
