/** `docker cp` and `docker export`: a path of a container as a tar, and a tar into one. */
import { closeSync, constants, readlinkSync } from "node:fs";
import { posix } from "node:path";
import type { Readable } from "node:stream";
import { EngineError, errnoOf } from "../base/errors.ts";
import { TarWriter } from "../base/tar/writer.ts";
import { archiveContent, archiveTree } from "../kernel/archive-tree.ts";
import { extractTar } from "../kernel/extract-tree.ts";
import { fdPath, O_PATH, openIn } from "../kernel/rooted.ts";
import { readUserFiles, resolveUser } from "../runtime/users.ts";
import type { Container } from "./container.ts";
import { missingPath, mountCovering, type Place, withPlace, withRootfs } from "./container-root.ts";
import type { PathStat } from "./containers.ts";
import type { Context } from "./context.ts";
import { notify } from "./notify.ts";
import { statPlace } from "./path-stat.ts";

export function statInContainer(context: Context, container: Container, path: string): Promise<PathStat> {
  return withPlace(context, container, path, async (place) => statPlace(place, container, path));
}

/** `stat` at once, the tar while it is read. The last part of the path is not followed when it is a link. */
export async function copyFrom(
  context: Context,
  container: Container,
  path: string,
): Promise<{ stat: PathStat; tar: Readable }> {
  const stat = await statInContainer(context, container, path);
  const writer = new TarWriter();
  const clean = posix.resolve("/", path);
  // "dir/." means the folder's content: its entries have no folder before them.
  const name = path.endsWith("/.") ? "." : clean === "/" ? "/" : posix.basename(clean);
  void withPlace(context, container, path, async (place) => {
    await archiveTree(place.root, followed(place, path), name, writer);
    await writer.finish();
  }).catch((error) => writer.destroy(error as Error));
  notify(context, container, "archive-path");
  return { stat, tar: writer.stream };
}

/** The whole tree of a container that need not run, without what is mounted in it. */
export function exportContainer(context: Context, container: Container): Readable {
  const writer = new TarWriter();
  void withRootfs(context, container, async (root) => {
    await archiveContent(root, "/", writer);
    await writer.finish();
  }).catch((error) => writer.destroy(error as Error));
  notify(context, container, "export");
  return writer.stream;
}

export interface CopyToOptions {
  readonly noOverwriteDirNonDir: boolean;
  /** Give everything to the container's user. */
  readonly copyUidGid: boolean;
}

/** "forbidden" with Docker's texts for what is read-only. */
export async function copyTo(
  context: Context,
  container: Container,
  path: string,
  tar: Readable,
  { noOverwriteDirNonDir, copyUidGid }: CopyToOptions,
): Promise<void> {
  const { User } = container.definition.config;
  await withPlace(context, container, path, async ({ root, at }) => {
    const folder = folderAt({ root, at }, container, path);
    refuseReadOnly(container, folder);
    const owner = copyUidGid && User ? resolveUser(User, readUserFiles(fdPath(root))) : undefined;
    await extractTar(root, tar, { at: folder, noOverwriteDirNonDir, owner }).catch(explainReadOnly);
  });
  notify(context, container, "extract-to-dir");
}

/** A link on the way may lead to what is read-only though the folder is not. */
function explainReadOnly(error: unknown): never {
  if (errnoOf(error) !== "EROFS") throw error;
  throw new EngineError("forbidden", "mounted volume is marked read-only", { cause: error });
}

/** `clean`: without links. */
function refuseReadOnly(container: Container, clean: string): void {
  const mount = mountCovering(container, clean);
  if (mount !== undefined && !mount.writable) throw new EngineError("forbidden", "mounted volume is marked read-only");
  if (mount === undefined && container.definition.hostConfig.ReadonlyRootfs && !onTmpfs(container, clean))
    throw new EngineError("forbidden", "container rootfs is marked read-only");
}

function onTmpfs({ definition }: Container, clean: string): boolean {
  const { Tmpfs, Mounts } = definition.hostConfig;
  const long = (Mounts ?? []).filter(({ Type }) => Type === "tmpfs").map(({ Target = "" }) => Target);
  return [...Object.keys(Tmpfs ?? {}), ...long].some((target) =>
    `${clean}/`.startsWith(`${posix.resolve("/", target)}/`),
  );
}

/** The path of a folder with its links resolved. "invalid" for what is none. */
function folderAt({ root, at }: Place, container: Container, path: string): string {
  try {
    const folder = openIn(root, at, { flags: constants.O_RDONLY | constants.O_DIRECTORY });
    try {
      return pathIn(root, folder);
    } finally {
      closeSync(folder);
    }
  } catch (error) {
    if (errnoOf(error) === "ENOTDIR")
      throw new EngineError("invalid", "extraction point is not a directory", { cause: error });
    throw missingPath(container, path, error);
  }
}

/** Follows a link at the end only when the path says that it means what is behind it. */
function followed({ root, at }: Place, asked: string): string {
  if (!/\/\.?$/.test(asked) || at === "/") return at;
  const fd = openIn(root, at, { flags: O_PATH });
  try {
    return pathIn(root, fd);
  } finally {
    closeSync(fd);
  }
}

/** Where an open file or folder is, seen from the root. */
function pathIn(root: number, fd: number): string {
  const base = readlinkSync(fdPath(root));
  const real = readlinkSync(fdPath(fd));
  return base === "/" ? real : real.slice(base.length) || "/";
}
