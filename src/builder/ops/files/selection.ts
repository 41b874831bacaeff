/** What a COPY or ADD takes from a tree: its patterns, and what they come to. Plain values, so that a worker can have them. */
import type { BigIntStats } from "node:fs";

export interface TreeSource {
  /** A folder of this machine. */
  readonly root: string;
  /** Lines of .dockerignore. */
  readonly ignore: readonly string[];
  /** What the root is called in errors: "the build context", "stage build". */
  readonly name: string;
  /** Every owner counts as root, and only files, folders and links may be there: what came from a client. */
  readonly foreign: boolean;
  /** Where what is known of the files' contents is kept; undefined: nowhere. */
  readonly hashes: string | undefined;
  /** Names the tree as it is now: what selections came to is remembered by it. */
  readonly version?: { readonly name: string; readonly text: string } | undefined;
}

export interface Selection {
  readonly source: TreeSource;
  /** Paths or patterns (Go's filepath.Match), without leading "/", without "..". */
  readonly patterns: readonly string[];
  readonly excludes: readonly string[];
  /** The path below the last "/./", or the whole path, is kept in front of what it names. */
  readonly parents: boolean;
}

export interface SelectedEntry {
  /** Within the source; latin1. */
  readonly path: string;
  /** Below the destination; "" for a folder whose contents go right there. latin1. */
  readonly to: string;
  readonly stats: BigIntStats;
  /** A file named by a pattern itself, so that the destination may be its new name. */
  readonly named: boolean;
}
