/** JSON as Go's encoder writes it: maps by sorted keys, structs in their fields' order, without HTML escapes unless asked. */
import { NIL, Spelled, traitsOf } from "./go-values.ts";
import { sortedKeys, structureOf, type Value } from "./print.ts";

export function goJson(value: Value, { html = false }: { readonly html?: boolean } = {}): string {
  const text = encode(value);
  const safe = text.replace(/[\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16)}`);
  return html ? safe.replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`) : safe;
}

function encode(value: Value): string {
  if (value === null || value === undefined || value === NIL || typeof value === "function") return "null";
  if (value instanceof Spelled) return JSON.stringify(value.json);
  const { nil, members: encoded } = typeof value === "object" ? traitsOf(value) : {};
  if (nil) return "null";
  if (encoded !== undefined)
    return `{${encoded.map(([key, one]) => `${JSON.stringify(key)}:${encode(one)}`).join(",")}}`;
  if (Array.isArray(value)) return `[${value.map(encode).join(",")}]`;
  if (typeof value !== "object") return typeof value === "bigint" ? String(value) : JSON.stringify(value);
  const record = value as Record<string, Value>;
  const keys = structureOf(value) === undefined ? sortedKeys(record) : Object.keys(record);
  const members = keys.filter((key) => record[key] !== undefined && typeof record[key] !== "function");
  return `{${members.map((key) => `${JSON.stringify(key)}:${encode(record[key])}`).join(",")}}`;
}
