import { closeSync, constants, lstatSync, openSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { posix } from "node:path";
import { errnoOf } from "../../../base/errors.ts";
import { fdPath, O_PATH, openIn } from "../../../kernel/rooted.ts";

const { O_RDONLY, O_DIRECTORY } = constants;
const GONE = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENOTEMPTY", "EEXIST", "EBUSY", "EISDIR"]);

/** The mount points that a tree lacks, each with the folders on the way that it lacks too, the outermost first. */
export function missingMountPoints(root: string, targets: readonly string[]): string[] {
  const fd = openSync(root, O_RDONLY | O_DIRECTORY);
  try {
    const missing = new Set<string>();
    for (const target of targets)
      for (const path of withParents(target)) if (!missing.has(path) && !isThere(fd, path)) missing.add(path);
    return [...missing];
  } finally {
    closeSync(fd);
  }
}

/** Takes away what the runtime made to mount something there, unless the step put something into it. */
export function removeStubs(root: string, missing: readonly string[]): void {
  const fd = openSync(root, O_RDONLY | O_DIRECTORY);
  try {
    for (const path of [...missing].sort((a, b) => b.length - a.length)) removeStub(fd, path);
  } finally {
    closeSync(fd);
  }
}

/** The step may have changed the tree: nothing is followed out of the root, and only what is empty goes. */
function removeStub(root: number, path: string): void {
  let parent: number | undefined;
  try {
    parent = openIn(root, posix.dirname(path), { flags: O_PATH | O_DIRECTORY });
    const place = `${fdPath(parent)}/${posix.basename(path)}`;
    const stats = lstatSync(place);
    if (stats.isDirectory()) {
      if (readdirSync(place).length === 0) rmdirSync(place);
    } else if (stats.isFile() && stats.size === 0) unlinkSync(place);
  } catch (error) {
    if (!GONE.has(errnoOf(error) ?? "")) throw error;
  } finally {
    if (parent !== undefined) closeSync(parent);
  }
}

function withParents(target: string): string[] {
  const parts = target.split("/").filter(Boolean);
  return parts.map((_, at) => `/${parts.slice(0, at + 1).join("/")}`);
}

function isThere(root: number, path: string): boolean {
  try {
    closeSync(openIn(root, path, { flags: O_PATH }));
    return true;
  } catch (error) {
    if (GONE.has(errnoOf(error) ?? "")) return false;
    throw error;
  }
}
