/** Go's os.FileMode, which has its own bits for types and for set-user-ID and its like. */

const DIRECTORY = 2 ** 31;
const SYMLINK = 2 ** 27;
/** Devices, pipes, sockets, and what Go does not know. */
const OTHERS = 2 ** 26 + 2 ** 25 + 2 ** 24 + 2 ** 21 + 2 ** 19;

/** [Go's bit, Unix's]. */
const SPECIAL: readonly (readonly [number, number])[] = [
  [2 ** 23, 0o4000],
  [2 ** 22, 0o2000],
  [2 ** 20, 0o1000],
];

const has = (mode: number, bits: number): boolean => (mode & bits) !== 0;

/** File, folder or symbolic link; undefined for what is none of them. */
export function kindOf(mode: number): "f" | "d" | "l" | undefined {
  if (has(mode, DIRECTORY)) return "d";
  if (has(mode, SYMLINK)) return "l";
  return has(mode, OTHERS) ? undefined : "f";
}

/** 0o0000 to 0o7777. */
export const permissions = (mode: number): number =>
  SPECIAL.reduce((sum, [go, unix]) => sum + (has(mode, go) ? unix : 0), mode & 0o777);

export function goMode(kind: "file" | "directory" | "symlink", unix: number): number {
  const type = kind === "directory" ? DIRECTORY : kind === "symlink" ? SYMLINK : 0;
  return SPECIAL.reduce((sum, [go, bit]) => sum + (has(unix, bit) ? go : 0), type + (unix & 0o777));
}
