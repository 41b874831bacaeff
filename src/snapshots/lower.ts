import { lstatSync, type Stats } from "node:fs";
import { isOpaque } from "./attributes.ts";

/** An overlay's way to say "nothing here". */
export function isWhiteout(stats: { isCharacterDevice(): boolean; readonly rdev: number | bigint }): boolean {
  return stats.isCharacterDevice() && Number(stats.rdev) === 0;
}

export interface Found {
  /** The full path in the layer that has it. */
  readonly full: string;
  readonly stats: Stats;
}

/**
 * What a stack of layers shows at a path (relative, clean), without mounting it. `folders`: their trees, topmost first.
 * Undefined when nothing is there, or when a part of the way is no real folder (links are not followed).
 */
export function lookUp(folders: readonly string[], path: string): Found | undefined {
  for (const folder of folders) {
    const found = lookIn(folder, path);
    if (found === "deeper") continue;
    return found === "hidden" ? undefined : found;
  }
  return undefined;
}

function lookIn(folder: string, path: string): Found | "deeper" | "hidden" {
  let opaque = false;
  let full = folder;
  const parts = path === "" ? [] : path.split("/");
  for (const [index, part] of parts.entries()) {
    full = `${full}/${part}`;
    const stats = lstatSync(full, { throwIfNoEntry: false });
    if (stats === undefined) return opaque ? "hidden" : "deeper";
    if (isWhiteout(stats)) return "hidden";
    if (index === parts.length - 1) return { full, stats };
    if (!stats.isDirectory()) return "hidden";
    opaque ||= isOpaque(full);
  }
  return { full, stats: lstatSync(full) };
}
