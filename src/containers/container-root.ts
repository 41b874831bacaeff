/** A container's tree as a descriptor in which paths are opened (openat2): nothing the container does to it leads out of it. */
import { closeSync, constants, openSync } from "node:fs";
import { posix } from "node:path";
import { EngineError, errnoOf } from "../base/errors.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { withMountsAside } from "./mounts-aside.ts";
import type { MountRecord } from "./record.ts";

export interface Place {
  /** The container's root; the descriptor is; closed when the work is done. */
  readonly root: number;
  /** The path asked for, cleaned, seen from `root`. */
  readonly at: string;
}

/**
 * The tree as the container's process sees it: its own with all its mounts while it runs, otherwise the root file system with binds,
 * volumes and images mounted for the time of the work.
 */
export async function withPlace<T>(
  context: Context,
  container: Container,
  path: string,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const at = posix.resolve("/", path);
  const { pid } = container.state;
  if (pid > 0) return withFolder(`/proc/${pid}/root`, (root) => work({ root, at }));
  if (container.definition.mounts.length === 0) return withRootfs(context, container, (root) => work({ root, at }));
  return withMountsAside(context, container, (root) => work({ root, at }));
}

/** The root file system alone, without what is mounted in it. */
export function withRootfs<T>({ rootfs }: Context, { id }: Container, work: (root: number) => Promise<T>): Promise<T> {
  return rootfs.use(id, (path) => withFolder(path, work));
}

/** The innermost mount that a cleaned path lies in. */
export function mountCovering({ definition }: Container, clean: string): MountRecord | undefined {
  const covering = definition.mounts.filter(
    ({ destination }) => clean === destination || clean.startsWith(`${destination}/`),
  );
  return covering.sort((a, b) => b.destination.length - a.destination.length)[0];
}

async function withFolder<T>(path: string, work: (fd: number) => Promise<T>): Promise<T> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return await work(fd);
  } finally {
    closeSync(fd);
  }
}

/** Docker's text for a path that is not there; other errors as they are. */
export function missingPath(container: Container, path: string, cause: unknown): unknown {
  if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoOf(cause) ?? "")) return cause;
  return new EngineError("not-found", `Could not find the file ${path} in container ${container.name}`, { cause });
}
