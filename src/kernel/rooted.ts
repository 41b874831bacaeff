/** Paths that cannot leave a root, also while someone changes the tree: openat2(2). */
import { native } from "./native.ts";

const RESOLVE = {
  /** ".." and absolute links stop at the root, as under chroot. Magic links are refused. */
  "in-root": 0x10 | 0x02,
  /** Leaving the root is an error (EXDEV). */
  beneath: 0x08 | 0x02,
} as const;

/** open(2)'s O_PATH, which Node has no name for: a place, not its content. */
export const O_PATH = 0o10000000;

export interface OpenInOptions {
  /** fs.constants.O_*; O_CLOEXEC is added. */
  readonly flags: number;
  readonly mode?: number | undefined;
  readonly resolve?: keyof typeof RESOLVE | undefined;
}

/** Opens a path relative to the folder that `rootFd` stands for. The caller closes the descriptor. */
export function openIn(
  rootFd: number,
  path: string | Buffer,
  { flags, mode = 0, resolve = "in-root" }: OpenInOptions,
): number {
  return native.openAt2(rootFd, path.length === 0 ? "." : path, flags, mode, RESOLVE[resolve]);
}

/** A path through which Node's own functions reach an open file or folder. */
export function fdPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}
