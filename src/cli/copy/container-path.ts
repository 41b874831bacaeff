/** Paths inside a container, with what the daemon says of them. */
import { posix } from "node:path";
import { errorKind } from "../../base/errors.ts";
import type { PathStat } from "../../client/containers.ts";
import type { Context } from "../context.ts";

/** Bits of Go's os.FileMode. */
const DIRECTORY = 2 ** 31;
const SYMLINK = 2 ** 27;
const has = (mode: number, bit: number) => Math.floor(mode / bit) % 2 === 1;

export interface CopyOptions {
  readonly archive: boolean;
  readonly followLink: boolean;
}

export const isFolder = ({ mode }: PathStat) => has(mode, DIRECTORY);

/** Undefined: not there. */
export async function statOf(context: Context, container: string, path: string): Promise<PathStat | undefined> {
  try {
    return await context.client.containers.statPath(container, path);
  } catch (error) {
    if (errorKind(error) === "not-found") return undefined;
    throw error;
  }
}

/** Where a symbolic link leads, or the path itself. */
export async function followed(context: Context, container: string, path: string): Promise<string> {
  const stat = await statOf(context, container, path);
  if (stat === undefined || !has(stat.mode, SYMLINK)) return path;
  return posix.resolve("/", posix.dirname(absolute(path)), stat.linkTarget);
}

export function absolute(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}

/** What is in the folder, not the folder. */
export const namesContents = (path: string) => path === "." || path.endsWith("/.");
