/**
 * A cache that travels: what steps gave, by their keys, and the blobs of their layers. As an OCI image manifest whose configuration is a
 * CacheDocument and whose layers are the blobs in its order (registry, local); or inside an image's configuration, whose layers are
 * the image's own (inline).
 */
import { type Digest, isDigest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import type { Descriptor } from "../../../oci/types.ts";
import type { Made } from "../../tree.ts";

export const CACHE_CONFIG = "application/vnd.gantry.build-cache.v1+json";
/** The field of an image's configuration. */
export const INLINE_FIELD = "gantry.build-cache.v1";
/** Bytes of a configuration. */
export const MAX_DOCUMENT = 16 << 20;
const MAX_STEPS = 100_000;

export interface CacheStep {
  readonly key: Digest;
  readonly description: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly note: string;
  /** Bytes of the unpacked layer. */
  readonly size: number;
  /** Of the layer; missing when the step changed nothing. */
  readonly diffId?: Digest | undefined;
}

export interface CacheDocument {
  /** Diff ids, in the order of the manifest's layers. */
  readonly layers: readonly Digest[];
  readonly steps: readonly CacheStep[];
}

/** A step as it comes from a cache elsewhere, and its layer's blob there. */
export interface SharedStep extends CacheStep {
  readonly blob: Descriptor | undefined;
}

export interface KeptStep {
  readonly key: Digest;
  readonly description: string;
  readonly made: Made;
}

export function documentOf(steps: readonly KeptStep[]): CacheDocument {
  const layers = new Set<Digest>();
  const listed = steps.map(({ key, description, made }) => {
    const diffId = made.layer?.diffId;
    if (diffId !== undefined) layers.add(diffId);
    const { createdAt, note = "", size } = made;
    return { key, description, createdAt, note, size, ...(diffId !== undefined && { diffId }) };
  });
  return { layers: [...layers], steps: listed };
}

/** "invalid" for what is none; nothing of it is believed before this. */
export function parseDocument(value: unknown): CacheDocument {
  const { layers, steps } = (value ?? {}) as { layers?: unknown; steps?: unknown };
  if (!Array.isArray(layers) || !Array.isArray(steps) || steps.length > MAX_STEPS || !layers.every(isText))
    throw notOne();
  if (!layers.every(isDigest)) throw notOne();
  return { layers, steps: steps.map(parseStep) };
}

function parseStep(value: unknown): CacheStep {
  const { key, description, createdAt, note, size, diffId } = (value ?? {}) as Partial<
    Record<keyof CacheStep, unknown>
  >;
  const fits =
    isText(key) &&
    isDigest(key) &&
    isText(description) &&
    isText(note) &&
    isText(createdAt) &&
    !Number.isNaN(Date.parse(createdAt)) &&
    Number.isSafeInteger(size) &&
    (diffId === undefined || (isText(diffId) && isDigest(diffId)));
  if (!fits) throw notOne();
  const common = { key, description: description.slice(0, 1000), createdAt, note: note.slice(0, 200) };
  return { ...common, size: size as number, ...(diffId !== undefined && { diffId }) };
}

/** With the blob of each layer; steps whose layer has none are left out. */
export function withBlobs({ layers, steps }: CacheDocument, blobs: readonly Descriptor[]): SharedStep[] {
  if (layers.length !== blobs.length) throw notOne();
  const byDiffId = new Map(layers.map((diffId, at) => [diffId, blobs[at]]));
  return steps.flatMap((step) => {
    const blob = step.diffId === undefined ? undefined : byDiffId.get(step.diffId);
    return step.diffId !== undefined && blob === undefined ? [] : [{ ...step, blob }];
  });
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function notOne(): EngineError {
  return new EngineError("invalid", "this is no build cache of Gantry's");
}
