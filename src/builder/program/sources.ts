/** Where the files of a programmed build come from. */
import { resolve } from "node:path";

/** A folder of this machine. */
export interface Folder {
  readonly kind: "folder";
  readonly path: string;
  /** Patterns of what is left out, as in .dockerignore. */
  readonly ignore: readonly string[];
}

/** An image's files. */
export interface ImageFiles {
  readonly kind: "image";
  readonly name: string;
}

/** `ignore`: patterns as in .dockerignore. Nothing is read before the build. */
export function folder(path: string, { ignore = [] }: { readonly ignore?: readonly string[] } = {}): Folder {
  return Object.freeze({ kind: "folder", path: resolve(path), ignore });
}

/** For `copy` and `bind`; to start from an image use `from`. */
export function image(name: string): ImageFiles {
  return Object.freeze({ kind: "image", name });
}
