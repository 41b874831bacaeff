import { type BigIntStats, closeSync, constants, fstatSync, readlinkSync } from "node:fs";
import { posix } from "node:path";
import { timestampOf } from "../base/time.ts";
import { fdPath, O_PATH, openIn } from "../kernel/rooted.ts";
import type { Container } from "./container.ts";
import { missingPath, type Place } from "./container-root.ts";
import type { PathStat } from "./containers.ts";

const { O_DIRECTORY, O_NOFOLLOW } = constants;

/** The last part is followed when it is a link, and must be a folder, only where the path ends with "/" or "/.". */
export function statPlace({ root, at }: Place, container: Container, path: string): PathStat {
  const clean = posix.resolve("/", path);
  try {
    const flags = O_PATH | (/\/\.?$/.test(path) ? O_DIRECTORY : O_NOFOLLOW);
    const fd = openIn(root, at, { flags });
    try {
      const stat = fstatSync(fd, { bigint: true });
      const link = stat.isSymbolicLink();
      return {
        name: clean === "/" ? "/" : posix.basename(clean),
        size: Number(stat.size),
        mode: goMode(stat),
        mtime: timestampOf(stat.mtimeNs),
        linkTarget: link ? resolvedLink({ root, at }, clean) : "",
      };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw missingPath(container, path, error);
  }
}

/** Where a link leads, as a path from the container's root; Docker's clients follow it by that. */
function resolvedLink({ root, at }: Place, path: string): string {
  const folder = openIn(root, posix.dirname(at), { flags: O_PATH | O_DIRECTORY });
  try {
    return posix.resolve(posix.dirname(path), readlinkSync(`${fdPath(folder)}/${posix.basename(at)}`));
  } finally {
    closeSync(folder);
  }
}

/** The bits of Go's os.FileMode, which the API speaks. */
function goMode(stat: BigIntStats): number {
  const mode = Number(stat.mode);
  let bits = mode & 0o777;
  if (stat.isDirectory()) bits |= 2 ** 31;
  if (stat.isSymbolicLink()) bits |= 1 << 27;
  if (stat.isFIFO()) bits |= 1 << 25;
  if (stat.isSocket()) bits |= 1 << 24;
  if (stat.isBlockDevice() || stat.isCharacterDevice()) bits |= 1 << 26;
  if (stat.isCharacterDevice()) bits |= 1 << 21;
  if (mode & 0o4000) bits |= 1 << 23;
  if (mode & 0o2000) bits |= 1 << 22;
  if (mode & 0o1000) bits |= 1 << 20;
  return bits >>> 0;
}
