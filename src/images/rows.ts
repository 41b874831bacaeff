/** The catalog's records, and how they lie in the database. */
import type { Digest } from "../base/digest.ts";
import { chainIds } from "../oci/chain.ts";
import { familiarName, parseReference, type Reference } from "../oci/reference.ts";
import type { Descriptor, ImageConfigFile } from "../oci/types.ts";
import { parseImageConfig } from "../oci/validate.ts";
import type { Image, Part, Target } from "./images.ts";

/** An image with what only this module needs to know. Frozen. */
export interface ImageRecord {
  readonly image: Image;
  /** An artifact has an empty configuration, and its target's digest as id. */
  readonly kind: "image" | "artifact";
  /** Chain ids, lowest first. */
  readonly chain: readonly Digest[];
  /** The local image that this one was made from. */
  readonly parent: Digest | undefined;
  readonly addedAt: string;
  readonly taggedAt: string | undefined;
  readonly usedAt: string | undefined;
}

/** Frozen. */
export interface TargetRecord extends Target {
  /** Every digest that it needs in content. */
  readonly blobs: readonly Digest[];
  readonly addedAt: string;
}

export interface NameRecord {
  /** Normalised, with a tag or a digest. */
  readonly name: string;
  readonly reference: Reference;
  readonly familiar: string;
  readonly imageId: Digest;
  readonly target: Descriptor;
}

export interface ImageRow {
  readonly id: string;
  readonly kind: string;
  readonly manifest: string;
  /** The configuration's bytes; empty for an artifact. */
  readonly config: string;
  readonly parent: string | null;
  readonly added_at: string;
  readonly tagged_at: string | null;
  readonly used_at: string | null;
}

export interface TargetRow {
  readonly digest: string;
  readonly descriptor: string;
  readonly image: string;
  /** JSON: documents and parts. */
  readonly tree: string;
  readonly added_at: string;
}

export interface NameRow {
  readonly name: string;
  readonly image: string;
  readonly target: string;
}

const ARTIFACT_CONFIG: ImageConfigFile = { os: "", architecture: "", rootfs: { type: "layers", diff_ids: [] } };

export function imageOf(row: ImageRow): ImageRecord {
  const kind = row.kind === "artifact" ? "artifact" : "image";
  const config = deepFreeze(kind === "artifact" ? ARTIFACT_CONFIG : parseImageConfig(Buffer.from(row.config)));
  const chain = chainIds(config.rootfs.diff_ids);
  const manifest = deepFreeze(JSON.parse(row.manifest) as Descriptor);
  return Object.freeze({
    image: Object.freeze({ id: row.id, manifest, config, chainId: chain.at(-1) }),
    kind,
    chain,
    parent: row.parent ?? undefined,
    addedAt: row.added_at,
    taggedAt: row.tagged_at ?? undefined,
    usedAt: row.used_at ?? undefined,
  });
}

export function targetOf(row: TargetRow): TargetRecord {
  const { documents, parts } = JSON.parse(row.tree) as { documents: Digest[]; parts: Part[] };
  return deepFreeze({
    descriptor: JSON.parse(row.descriptor) as Descriptor,
    imageId: row.image,
    documents,
    parts,
    blobs: [...new Set([...documents, ...parts.flatMap(({ blobs }) => blobs)])],
    addedAt: row.added_at,
  });
}

export function targetRow({ descriptor, imageId, documents, parts }: Target, addedAt: string): TargetRow {
  return {
    digest: descriptor.digest,
    descriptor: JSON.stringify(descriptor),
    image: imageId,
    tree: JSON.stringify({ documents, parts }),
    added_at: addedAt,
  };
}

export function nameOf({ name, image, target }: NameRow): NameRecord {
  const reference = parseReference(name);
  return { name, imageId: image, target: JSON.parse(target), reference, familiar: familiarName(reference) };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const member of Object.values(value)) deepFreeze(member);
    Object.freeze(value);
  }
  return value;
}
