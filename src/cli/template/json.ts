/** JSON as Go's encoder writes it: maps by sorted keys, structs in their fields' order, without HTML escapes unless asked. */
import { sortedKeys, structureOf, type Value } from "./print.ts";

export function goJson(value: Value, { html = false }: { readonly html?: boolean } = {}): string {
  const text = encode(value);
  const safe = text.replace(/[\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16)}`);
  return html ? safe.replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`) : safe;
}

function encode(value: Value): string {
  if (value === null || value === undefined || typeof value === "function") return "null";
  if (Array.isArray(value)) return `[${value.map(encode).join(",")}]`;
  if (typeof value !== "object") return typeof value === "bigint" ? String(value) : JSON.stringify(value);
  const record = value as Record<string, Value>;
  const keys = structureOf(value) === undefined ? sortedKeys(record) : Object.keys(record);
  const members = keys.filter((key) => record[key] !== undefined && typeof record[key] !== "function");
  return `{${members.map((key) => `${JSON.stringify(key)}:${encode(record[key])}`).join(",")}}`;
}
