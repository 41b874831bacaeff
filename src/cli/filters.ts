/** `--filter key=value` as the API takes it. */
import type { Filters } from "../client/containers.ts";
import type { FlagSpec } from "./flags/spec.ts";

/** Where `-f` is something else. */
export const LONG_FILTER_FLAG: FlagSpec = {
  name: "filter",
  type: "filter",
  help: "Only what matches KEY=VALUE",
  check: (text) => (text === "" || text.includes("=") ? undefined : "bad format of filter (expected name=value)"),
};

export const FILTER_FLAG: FlagSpec = { ...LONG_FILTER_FLAG, short: "f" };

export function filtersOf(words: readonly string[]): Filters {
  const filters: Record<string, string[]> = {};
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals < 0) continue;
    const key = word.slice(0, equals).trim().toLowerCase();
    filters[key] = [...(filters[key] ?? []), word.slice(equals + 1).trim()];
  }
  return filters;
}
