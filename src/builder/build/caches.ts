/** --cache-from and --cache-to of one build. */
import { EngineError, errorKind, errorMessage } from "../../base/errors.ts";
import type { Lease } from "../../images/images.ts";
import { parseReference, withDefaultTag } from "../../oci/reference.ts";
import type { BuildRequest, CacheLocation } from "../builder.ts";
import { exportCache } from "../cache/shared/export.ts";
import { documentOf, INLINE_FIELD, type KeptStep } from "../cache/shared/format.ts";
import { CacheImports } from "../cache/shared/import.ts";
import { type CachePlace, imagePlace, openPlace } from "../cache/shared/places.ts";
import { credentialsFor } from "../given.ts";
import type { Session } from "../graph/solver.ts";
import type { BuildEvent } from "../progress.ts";
import type { Toolkit } from "../toolkit.ts";
import type { Made, Tree } from "../tree.ts";
import type { PlatformBuild } from "./build.ts";
import { shownWork } from "./shown.ts";
import type { TreeVertex } from "./stages.ts";

export interface CacheParts {
  readonly tools: Toolkit;
  readonly request: BuildRequest;
  readonly signal: AbortSignal;
  readonly onProgress: (event: BuildEvent) => void;
}

/** Reads what the build may take from elsewhere; undefined when it asks for nothing. "invalid" for a place that is none, also to export to. */
export async function openImports(parts: CacheParts): Promise<CacheImports | undefined> {
  const { tools, request, signal } = parts;
  for (const location of request.cacheTo ?? []) if (location.type !== "inline") await placeToWrite(parts, location);
  const locations = (request.cacheFrom ?? []).filter(({ type }) => type !== "inline");
  if (locations.length === 0) return undefined;
  const imports = new CacheImports(tools);
  for (const location of locations) {
    const place = await placeToRead(parts, location);
    await shownWork(parts, `importing cache manifest from ${place.name}`, (log) =>
      imports.read(place, { signal, log: (_stream, data) => log(data.toString().trimEnd()) }),
    );
  }
  return imports;
}

/** An image that is here needs no registry. */
async function placeToRead(parts: CacheParts, location: CacheLocation): Promise<CachePlace> {
  const { tools } = parts;
  const { ref } = location.attributes;
  if (location.type === "registry" && ref !== undefined) {
    try {
      return imagePlace(tools.content, tools.images.get(ref));
    } catch (error) {
      if (!["not-found", "invalid"].includes(errorKind(error))) throw error;
    }
  }
  return await placeOf(parts, location, "from");
}

async function placeToWrite(parts: CacheParts, location: CacheLocation): Promise<CachePlace> {
  const { mode = "min" } = location.attributes;
  if (mode !== "min" && mode !== "max") throw new EngineError("invalid", `invalid mode of a cache: ${mode}`);
  return await placeOf(parts, location, "to");
}

/** The configuration's field with what this stage's steps gave; nothing unless it is asked for. */
export function inlineCache(
  { cacheTo = [] }: BuildRequest,
  session: Session<Tree, Made>,
  last: TreeVertex,
): Readonly<Record<string, unknown>> | undefined {
  if (!cacheTo.some(({ type }) => type === "inline")) return undefined;
  return { [INLINE_FIELD]: documentOf(stepsBelow(session, last)) };
}

export interface ExportParts extends CacheParts {
  readonly lease: Lease;
}

/** Post-condition: every place that the build names has its cache. */
export async function exportCaches(parts: ExportParts, built: readonly PlatformBuild[]): Promise<void> {
  const { tools, request, lease, signal } = parts;
  for (const location of request.cacheTo ?? []) {
    if (location.type === "inline") continue;
    const { mode = "min", "ignore-error": lenient = "false" } = location.attributes;
    const steps = built.flatMap(({ session, last }) =>
      mode === "max" ? stepsOf(session, session.kept.keys()) : stepsBelow(session, last),
    );
    try {
      const place = await placeOf(parts, location, "to");
      await shownWork(parts, `exporting cache to ${place.name}`, (log) =>
        exportCache({ tools, lease, place, steps: once(steps), signal, log }),
      );
    } catch (error) {
      if (lenient !== "true" || signal.aborted) throw error;
      tools.logger.log("warn", "a build's cache could not be exported", { error: errorMessage(error) });
    }
  }
}

/** From a stage's base up to its last step. */
function stepsBelow(session: Session<Tree, Made>, last: TreeVertex): KeptStep[] {
  const way: TreeVertex[] = [];
  for (let next: TreeVertex | undefined = last; next !== undefined; ) {
    way.unshift(next);
    const below: TreeVertex["inputs"][number] | undefined = next.inputs[0];
    next = below instanceof Promise ? undefined : below;
  }
  return stepsOf(session, way);
}

function stepsOf(session: Session<Tree, Made>, vertices: Iterable<TreeVertex>): KeptStep[] {
  return Array.from(vertices).flatMap((vertex) => {
    const kept = session.kept.get(vertex);
    return kept === undefined ? [] : [{ ...kept, description: vertex.hints.name }];
  });
}

function once(steps: readonly KeptStep[]): KeptStep[] {
  return [...new Map(steps.map((step) => [step.key, step])).values()];
}

/** The place of a location, with what the registry there asks for. */
async function placeOf({ tools, request, signal }: CacheParts, location: CacheLocation, direction: "from" | "to") {
  const { ref } = location.attributes;
  const domain = ref === undefined ? undefined : withDefaultTag(parseReference(ref)).domain;
  const credentials = domain === undefined ? undefined : await credentialsFor(request.credentials, domain, signal);
  return openPlace(location, direction, { remote: tools.remote, credentials: () => credentials });
}
