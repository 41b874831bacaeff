/**
 * What this engine's things in the kernel are called. The tag follows from the data root: an engine knows its own leftovers also
 * when its database is gone, and never touches another engine's.
 */
import { createHash } from "node:crypto";

export interface Names {
  /** The table of the family inet. */
  readonly table: string;
  /** Of the host's ends of pairs; with 7 more digits the 15 bytes that a link's name may have. */
  readonly linkPrefix: string;
  /** The alias of our bridges. */
  readonly alias: string;
}

export function makeNames(dataRoot: string): Names {
  const tag = createHash("sha256").update(dataRoot).digest("hex").slice(0, 6);
  return { table: `gantry_${tag}`, linkPrefix: `gy${tag}`, alias: `${OWNER}${dataRoot}`.slice(0, MAX_ALIAS) };
}

const OWNER = "gantry ";
const MAX_ALIAS = 250;

/** The data root that an alias or a table's comment names; undefined when it is none of an engine, or was cut off. */
export function dataRootOf(owner: string): string | undefined {
  return owner.startsWith(`${OWNER}/`) && owner.length < MAX_ALIAS ? owner.slice(OWNER.length) : undefined;
}

/** Names for a default bridge, in the order in which they are tried. */
export function* defaultBridgeNames(): Generator<string> {
  for (let number = 0; number < 1000; number++) yield `gantry${number}`;
}

/** Value of the setting `bridge` that stands for no default bridge. */
export const NO_BRIDGE = "none";
