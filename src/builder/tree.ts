/** What flows along the edges of a build's graph. */
import { chainIdOf } from "../base/chain-id.ts";
import type { Digest } from "../base/digest.ts";
import type { Descriptor } from "../oci/types.ts";
import type { TreeSource } from "./ops/files/selection.ts";

/** A layer as its blob in content. */
export interface LayerRef {
  readonly diffId: Digest;
  readonly blob: Descriptor;
}

/** A tree in layers: a stage at some step, a base image. */
export interface LayeredTree {
  readonly kind: "layers";
  /** Undefined: nothing at all. */
  readonly chainId: Digest | undefined;
  /** Lowest first. */
  readonly layers: readonly LayerRef[];
  /** One for each instruction since the base image, those without a layer too. */
  readonly steps: readonly StepTrace[];
}

/** What history says of a step. */
export interface StepTrace {
  readonly createdAt: string;
  readonly layer: LayerRef | undefined;
  readonly note: string;
}

/** Files on this machine: a context, what was downloaded, a repository. */
export interface FolderTree {
  readonly kind: "folder";
  readonly source: TreeSource;
}

export type Tree = LayeredTree | FolderTree;

/** What is kept of a step. */
export interface Made {
  /** RFC 3339. */
  readonly createdAt: string;
  /** Undefined: the step changed nothing. */
  readonly layer?: LayerRef | undefined;
  /** The tree that it was made on, and the one it gave. */
  readonly parent?: Digest | undefined;
  readonly chainId?: Digest | undefined;
  /** Of a source: all of it. Never kept. */
  readonly tree?: Tree | undefined;
  /** What history says of the content: "file:1234". */
  readonly note?: string | undefined;
  /** Bytes on the disk of the layer. */
  readonly size: number;
}

export const SCRATCH: LayeredTree = Object.freeze({ kind: "layers", chainId: undefined, layers: [], steps: [] });

/** The tree after a step. */
export function grown(tree: LayeredTree, { layer, createdAt, note = "" }: Made): LayeredTree {
  const steps = [...tree.steps, { createdAt, layer, note }];
  if (layer === undefined) return Object.freeze({ ...tree, steps });
  const chainId = chainIdOf(tree.chainId, layer.diffId);
  return Object.freeze({ kind: "layers", chainId, layers: [...tree.layers, layer], steps });
}

/** The result of a step that has one tree below. */
export function layered(tree: Tree | undefined): LayeredTree {
  if (tree?.kind !== "layers") throw new Error("a step has no layers to lie on");
  return tree;
}
