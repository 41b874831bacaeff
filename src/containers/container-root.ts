/** A container's tree as a descriptor in which paths are opened (openat2): nothing the container does to it leads out of it. */
import { closeSync, constants, openSync } from "node:fs";
import { posix } from "node:path";
import { EngineError, errnoOf } from "../base/errors.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import type { MountRecord } from "./record.ts";

export interface Place {
  /** The root's descriptor; closed when the work is done. */
  readonly root: number;
  /** The path asked for, cleaned, seen from `root`. */
  readonly at: string;
}

/**
 * Finds the tree that holds a path: of its process, with all its mounts, while it runs; otherwise its file system, mounted for the
 * time of the work, or the volume or folder that would be mounted there.
 */
export async function withPlace<T>(
  context: Context,
  container: Container,
  path: string,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const clean = posix.resolve("/", path);
  const { pid } = container.state;
  if (pid > 0) return withFolder(`/proc/${pid}/root`, (root) => work({ root, at: clean }));
  const mount = mountCovering(container, clean);
  if (mount === undefined) return withRootfs(context, container, (root) => work({ root, at: clean }));
  const at = clean.slice(mount.destination.length) || "/";
  return withMount(context, container, mount, (root) => work({ root, at }));
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

async function withMount<T>(
  { volumes, snapshots }: Context,
  { id }: Container,
  { type, name = "", source, subpath = "", chainId }: MountRecord,
  work: (root: number) => Promise<T>,
): Promise<T> {
  if (type === "bind") return withFolder(source, work);
  if (type === "image") {
    if (chainId === undefined) throw new EngineError("not-found", `the image ${name} is empty`);
    return snapshots.withLayer(chainId, (root) => withFolder(posix.join(root, subpath), work));
  }
  const user = `${id}-files-${(uses++).toString()}`;
  try {
    return await withFolder(posix.join(await volumes.acquire(name, user), subpath), work);
  } finally {
    await volumes.release(name, user);
  }
}

let uses = 0;

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
