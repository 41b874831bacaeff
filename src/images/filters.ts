import { EngineError } from "../base/errors.ts";
import { parsePointInTime } from "../base/points-in-time.ts";
import { familiarRepository } from "../oci/reference.ts";
import type { Catalog } from "./catalog.ts";
import type { Filters } from "./images.ts";
import { pathMatch } from "./path-match.ts";
import { resolve } from "./resolve.ts";
import type { ImageRecord, NameRecord } from "./rows.ts";

/** Throws "invalid", in Docker's words, for a filter that is not known here. */
export function checkFilters(filters: Filters, known: readonly string[]): void {
  const unknown = Object.keys(filters).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new EngineError("invalid", `invalid filter '${unknown}'`);
}

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, "1": true, false: false, "0": false };

/** A filter that is a boolean; `otherwise` when it is not given. */
export function booleanFilter(filters: Filters, name: string, otherwise: boolean): boolean {
  const values = (filters[name] ?? []).map((value) => BOOLEANS[value]);
  const [first] = values;
  if (values.length === 0) return otherwise;
  if (first === undefined || values.some((value) => value !== first))
    throw new EngineError("invalid", `invalid filter '${name}=${JSON.stringify(filters[name])}'`);
  return first;
}

/** All of `label` must hold ("key" or "key=value"), none of `label!`. */
export function matchesLabels(record: ImageRecord, filters: Filters): boolean {
  const labels = record.image.config.config?.Labels ?? {};
  const holds = (wish: string) => {
    const equals = wish.indexOf("=");
    const key = equals < 0 ? wish : wish.slice(0, equals);
    return Object.hasOwn(labels, key) && (equals < 0 || labels[key] === wish.slice(equals + 1));
  };
  return (filters.label ?? []).every(holds) && !(filters["label!"] ?? []).some(holds);
}

/** The open interval of creation times that before, since and until leave. Milliseconds. */
export function createdBetween(catalog: Catalog, filters: Filters, now: number): { after: number; before: number } {
  const created = (name: string) => createdAt(resolve(catalog, name).record);
  return {
    after: Math.max(Number.NEGATIVE_INFINITY, ...(filters.since ?? []).map(created)),
    before: Math.min(
      Number.POSITIVE_INFINITY,
      ...(filters.before ?? []).map(created),
      ...(filters.until ?? []).map((text) => parsePointInTime(text, now)),
    ),
  };
}

/** Milliseconds since the epoch; 0 when the image does not say. */
export function createdAt({ image }: ImageRecord): number {
  const time = Date.parse(image.config.created ?? "");
  return Number.isNaN(time) ? 0 : time;
}

/** Patterns of `reference` against "alpine:3" and "alpine". */
export function matchesReference({ familiar, reference }: NameRecord, patterns: readonly string[]): boolean {
  const repository = familiarRepository(reference);
  return patterns.some((pattern) => pathMatch(pattern, familiar) || pathMatch(pattern, repository));
}
