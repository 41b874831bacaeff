/**
 * What the two drivers do differently. A *stack* is a list of trees, topmost first: with "overlay" each layer's own tree, with "copy"
 * the top layer's only, which holds everything.
 */
import type { WhiteoutMode } from "./unpacker.ts";

export interface Driver {
  readonly kind: "overlay" | "copy";
  readonly whiteouts: WhiteoutMode;
  /** The trees of a chain that make up what one sees: all of them, or the first. */
  stack(chain: readonly string[]): readonly string[];
  /** Whether a layer's tree begins with a copy of its parent's. */
  readonly layersHoldParents: boolean;
  /** Fills the (existing, empty) folder `home` of a writable snapshot. `init` is the tree of mount points, if there is one. */
  prepare(home: string, stack: readonly string[], init: string | undefined): void | Promise<void>;
  mount(request: MountRequest): void;
  /** Mounts a stack for reading. A stack of one tree needs none. */
  mountView(stack: readonly string[], target: string): void;
}

export interface MountRequest {
  readonly home: string;
  readonly stack: readonly string[];
  readonly init: string | undefined;
  readonly target: string;
  readonly readOnly: boolean;
  readonly ephemeral: boolean;
}
