import { lstatSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { copyFolderAttributes } from "./inherit.ts";
import { lookUp } from "./lower.ts";
import { parentOf } from "./tree.ts";

/**
 * What the engine and the runtime mount over or expect in every container. Where an image lacks one it is put between the image
 * and the writable tree, so that the container does not seem to have made it.
 */
const MOUNT_POINTS: readonly (readonly [path: string, kind: "directory" | "file" | "link"])[] = [
  ["dev", "directory"],
  ["dev/pts", "directory"],
  ["dev/shm", "directory"],
  ["dev/console", "file"],
  ["proc", "directory"],
  ["sys", "directory"],
  ["etc", "directory"],
  ["etc/hosts", "file"],
  ["etc/hostname", "file"],
  ["etc/resolv.conf", "file"],
  ["etc/mtab", "link"],
  [".dockerenv", "file"],
];

const MTAB = "/proc/mounts";

/** The paths of MOUNT_POINTS that a stack of trees (topmost first) lacks, parents first. */
export function missingMountPoints(lower: readonly string[]): string[] {
  const blocked = (path: string): boolean => {
    const parent = parentOf(path);
    if (parent === "") return false;
    const found = lookUp(lower, parent);
    return found === undefined ? false : !found.stats.isDirectory();
  };
  return MOUNT_POINTS.map(([path]) => path).filter((path) => lookUp(lower, path) === undefined && !blocked(path));
}

/** Makes them in a tree of their own; the folders on the way look as they do below. */
export function makeMountPoints(root: string, missing: readonly string[], lower: readonly string[]): void {
  const touched = new Set<string>();
  for (const path of missing) {
    const parent = parentOf(path);
    if (parent !== "" && lstatSync(`${root}/${parent}`, { throwIfNoEntry: false }) === undefined)
      mkdirSync(`${root}/${parent}`);
    if (!missing.includes(parent)) touched.add(parent);
    makeOne(`${root}/${path}`, MOUNT_POINTS.find(([known]) => known === path)?.[1] ?? "directory");
  }
  for (const path of touched) {
    const found = lookUp(lower, path);
    if (found !== undefined) copyFolderAttributes(found.full, path === "" ? root : `${root}/${path}`);
  }
}

export function isMountPointPath(path: string): boolean {
  return MOUNT_POINTS.some(([known]) => known === path);
}

function makeOne(full: string, kind: "directory" | "file" | "link"): void {
  if (kind === "link") symlinkSync(MTAB, full);
  else if (kind === "file") writeFileSync(full, "", { mode: 0o755 });
  else mkdirSync(full, { mode: 0o755 });
}
