/** The `filters` parameter: a JSON object in either of Docker's forms, checked against the names an operation accepts. */
import { EngineError } from "../base/errors.ts";
import type { Filters } from "../images/images.ts";

/** The names that each operation accepts, as Docker's. */
export const ACCEPTED = {
  containers: [
    "ancestor",
    "before",
    "expose",
    "exited",
    "health",
    "id",
    "isolation",
    "is-task",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
  ],
  images: ["before", "dangling", "label", "label!", "reference", "since", "until"],
  networks: ["dangling", "driver", "id", "label", "name", "scope", "type"],
  volumes: ["dangling", "driver", "label", "name"],
  pruneContainers: ["label", "label!", "until"],
  /** unused-for and keep are Gantry's own. */
  pruneImages: ["dangling", "keep", "label", "label!", "until", "unused-for"],
  pruneNetworks: ["label", "label!", "until"],
  pruneVolumes: ["all", "label", "label!"],
  pruneBuildCache: ["until", "id", "parent", "type", "description", "inuse", "shared", "private"],
} as const satisfies Record<string, readonly string[]>;

/** `{"name":["a"]}` and `{"name":{"a":true}}` mean the same. Empty text: no filters. Throws "invalid". */
export function readFilters(text: string, accepted: readonly string[] | undefined): Filters {
  if (text === "") return {};
  const filters: Record<string, readonly string[]> = {};
  for (const [name, values] of Object.entries(parseObject(text))) {
    if (accepted !== undefined && !accepted.includes(name))
      throw new EngineError("invalid", `invalid filter '${name}'`);
    const list = valuesOf(values);
    if (list.length > 0)
      Object.defineProperty(filters, name, { value: list, enumerable: true, configurable: true, writable: true });
  }
  return filters;
}

function parseObject(text: string): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new EngineError("invalid", "invalid filter", { cause: error });
  }
  if (parsed === null) return {};
  if (typeof parsed !== "object" || Array.isArray(parsed)) throw new EngineError("invalid", "invalid filter");
  return parsed;
}

function valuesOf(values: unknown): string[] {
  if (values === null) return [];
  if (Array.isArray(values) && values.every((value) => typeof value === "string")) return values;
  if (typeof values === "object" && !Array.isArray(values)) {
    const entries = Object.entries(values);
    if (entries.every(([, on]) => typeof on === "boolean")) return entries.map(([value]) => value);
  }
  throw new EngineError("invalid", "invalid filter");
}
