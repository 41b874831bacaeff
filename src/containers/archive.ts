/**
 * `docker cp`: a path of a container as a tar, and a tar into one. Every path is opened inside the container's root (openat2), and every
 * name is worked on in a folder that was opened so: nothing the container does to its tree meanwhile leads out of it.
 */
import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { posix } from "node:path";
import type { Readable } from "node:stream";
import { EngineError, errnoOf } from "../base/errors.ts";
import { cleanEntryPath } from "../base/tar/names.ts";
import { readTar, type TarEntry } from "../base/tar/reader.ts";
import type { TarHeader, TarInput } from "../base/tar/tar.ts";
import { TarWriter } from "../base/tar/writer.ts";
import { timestampOf } from "../base/time.ts";
import { deviceNumbers, makeNode, setTimes } from "../kernel/nodes.ts";
import { fdPath, openIn } from "../kernel/rooted.ts";
import { getXattr, listXattrs, setXattr } from "../kernel/xattrs.ts";
import type { Container } from "./container.ts";
import type { PathStat } from "./containers.ts";
import type { Context } from "./context.ts";
import { notify } from "./notify.ts";

/** open(2)'s O_PATH, which Node has no name for. */
const O_PATH = 0o10000000;
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_WRONLY, O_CREAT, O_EXCL, S_IFMT } = constants;

/**
 * The container's root as a descriptor: of its process, with all its mounts, while it runs; otherwise its file system, mounted for the
 * time of the work.
 */
async function withRoot<T>(context: Context, container: Container, work: (root: number) => Promise<T>): Promise<T> {
  const { pid } = container.state;
  if (pid > 0) return withFolder(`/proc/${pid}/root`, work);
  return context.rootfs.use(container.id, (path) => withFolder(path, work));
}

async function withFolder<T>(path: string, work: (fd: number) => Promise<T>): Promise<T> {
  const fd = openSync(path, O_RDONLY | O_DIRECTORY);
  try {
    return await work(fd);
  } finally {
    closeSync(fd);
  }
}

export function statInContainer(context: Context, container: Container, path: string): Promise<PathStat> {
  return withRoot(context, container, async (root) => statPath(root, container, path));
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
  void withRoot(context, container, async (root) => {
    await archiveTree(root, followed(root, clean, path), name, writer);
    await writer.finish();
  }).catch((error) => writer.destroy(error as Error));
  notify(context, container, "archive-path");
  return { stat, tar: writer.stream };
}

/** The whole tree of a container that need not run. */
export function exportContainer(context: Context, container: Container): Readable {
  const writer = new TarWriter();
  void context.rootfs
    .use(container.id, (path) =>
      withFolder(path, async (root) => {
        for (const entry of names(root, "/")) await archiveTree(root, `/${entry}`, entry, writer);
        await writer.finish();
      }),
    )
    .catch((error) => writer.destroy(error as Error));
  notify(context, container, "export");
  return writer.stream;
}

export interface CopyToOptions {
  readonly noOverwriteDirNonDir: boolean;
  readonly copyUidGid: boolean;
}

export async function copyTo(
  context: Context,
  container: Container,
  path: string,
  tar: Readable,
  options: CopyToOptions,
): Promise<void> {
  const { ReadonlyRootfs } = container.definition.hostConfig;
  if (ReadonlyRootfs && !coveredByWritable(container, path))
    throw new EngineError("forbidden", "container rootfs is marked read-only");
  await withRoot(context, container, async (root) => {
    const folder = openFolder(root, container, path);
    try {
      for await (const entry of readTar(tar)) await extract(folder, entry, options);
    } finally {
      closeSync(folder);
    }
  });
  notify(context, container, "extract-to-dir");
}

function coveredByWritable(container: Container, path: string): boolean {
  const clean = posix.resolve("/", path);
  return container.definition.mounts.some(
    ({ destination, writable }) => writable && (clean === destination || clean.startsWith(`${destination}/`)),
  );
}

function openFolder(root: number, container: Container, path: string): number {
  try {
    return openIn(root, path, { flags: O_RDONLY | O_DIRECTORY });
  } catch (error) {
    if (errnoOf(error) === "ENOTDIR")
      throw new EngineError("invalid", "extraction point is not a directory", { cause: error });
    throw notFound(container, path, error);
  }
}

function notFound(container: Container, path: string, cause: unknown): unknown {
  if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoOf(cause) ?? "")) return cause;
  return new EngineError("not-found", `Could not find the file ${path} in container ${container.name}`, { cause });
}

/** Follows a link at the end only when the path says that it means what is behind it. */
function followed(root: number, clean: string, asked: string): string {
  if (!/\/\.?$/.test(asked) || clean === "/") return clean;
  const fd = openIn(root, clean, { flags: O_PATH });
  try {
    const base = readlinkSync(fdPath(root));
    const real = readlinkSync(fdPath(fd));
    return base === "/" ? real : real.slice(base.length) || "/";
  } finally {
    closeSync(fd);
  }
}

function statPath(root: number, container: Container, path: string): PathStat {
  const clean = posix.resolve("/", path);
  try {
    const flags = O_PATH | (/\/\.?$/.test(path) ? 0 : O_NOFOLLOW);
    const fd = openIn(root, clean, { flags });
    try {
      const stat = fstatSync(fd, { bigint: true });
      const link = stat.isSymbolicLink();
      return {
        name: clean === "/" ? "/" : posix.basename(clean),
        size: Number(stat.size),
        mode: goMode(stat),
        mtime: timestampOf(stat.mtimeNs),
        linkTarget: link ? resolvedLink(root, clean) : "",
      };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw notFound(container, path, error);
  }
}

/** Where a link leads, as a path from the container's root; Docker's clients follow it by that. */
function resolvedLink(root: number, path: string): string {
  const folder = openIn(root, posix.dirname(path), { flags: O_PATH | O_DIRECTORY });
  try {
    return posix.resolve(posix.dirname(path), readlinkSync(`${fdPath(folder)}/${posix.basename(path)}`));
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

function names(root: number, path: string): string[] {
  const fd = openIn(root, path, { flags: O_RDONLY | O_DIRECTORY });
  try {
    return readdirSync(fdPath(fd)).sort();
  } finally {
    closeSync(fd);
  }
}

/** Adds what is at `path` under `name`, and all below it. What vanishes meanwhile is left out. */
async function archiveTree(
  root: number,
  path: string,
  name: string,
  writer: TarWriter,
  links = new Map<string, string>(),
): Promise<void> {
  let fd: number;
  try {
    fd = openIn(root, path, { flags: O_PATH | O_NOFOLLOW });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    const stat = fstatSync(fd, { bigint: true });
    const header = headerOf(root, path, name, stat);
    if (header === undefined) return;
    const inode = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1n && !stat.isDirectory() ? links.get(inode) : undefined;
    if (first !== undefined) return await writer.add({ ...header, type: "hardlink", linkPath: first, size: 0 });
    if (stat.nlink > 1n) links.set(inode, name);
    if (!stat.isFile()) await writer.add(header);
    else await addFile(fd, header, writer);
    if (!stat.isDirectory()) return;
  } finally {
    closeSync(fd);
  }
  for (const entry of names(root, path))
    await archiveTree(
      root,
      posix.join(path, entry),
      name === "/" || name === "." ? `${name === "." ? "./" : ""}${entry}` : `${name}/${entry}`,
      writer,
      links,
    );
}

/** A file that grows or shrinks while it is read gives the size that its header says. */
async function addFile(fd: number, header: TarInput, writer: TarWriter): Promise<void> {
  const file = openSync(fdPath(fd), O_RDONLY);
  const size = Number(header.size);
  if (size === 0) {
    closeSync(file);
    await writer.add(header);
    return;
  }
  await writer.add(header, exactly(createReadStream("", { fd: file, end: size - 1, highWaterMark: 1 << 18 }), size));
}

async function* exactly(source: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let left = size;
  for await (const chunk of source) {
    left -= chunk.length;
    yield chunk;
  }
  while (left > 0) {
    const zeros = Buffer.alloc(Math.min(left, 1 << 18));
    left -= zeros.length;
    yield zeros;
  }
}

function headerOf(
  root: number,
  path: string,
  name: string,
  stat: BigIntStats,
): (TarInput & { size: number }) | undefined {
  const type = typeOf(stat);
  if (type === undefined) return undefined;
  const device = deviceNumbers(stat.rdev);
  const place = openIn(root, posix.dirname(path), { flags: O_PATH | O_DIRECTORY });
  const own = `${fdPath(place)}/${posix.basename(path)}`;
  try {
    return {
      path: type === "directory" && !name.endsWith("/") ? `${name}/` : name,
      type,
      linkPath: type === "symlink" ? readlinkSync(own) : undefined,
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      size: type === "file" ? Number(stat.size) : 0,
      mtime: stat.mtimeNs,
      ...(type === "char" || type === "block" ? device : {}),
      xattrs: path === "/" ? new Map() : attributes(own),
    };
  } finally {
    closeSync(place);
  }
}

function attributes(path: string): Map<string, Buffer> {
  const kept = listXattrs(path).filter((name) => name === "security.capability" || name.startsWith("user."));
  return new Map(
    kept.flatMap((name) => {
      const value = getXattr(path, name);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

function typeOf(stat: BigIntStats): TarHeader["type"] | undefined {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isCharacterDevice()) return "char";
  if (stat.isBlockDevice()) return "block";
  return stat.isFIFO() ? "fifo" : undefined;
}

async function extract(folder: number, entry: TarEntry, options: CopyToOptions): Promise<void> {
  const { header } = entry;
  const path = cleanEntryPath(header.path);
  if (path === undefined)
    throw new EngineError("invalid", `the archive's entry ${JSON.stringify(header.path)} leads out of the folder`);
  if (path === "" || path === ".") return;
  const parent = openParent(folder, posix.dirname(path));
  try {
    const target = `${fdPath(parent)}/${posix.basename(path)}`;
    clearPlace(target, header, options);
    await make(folder, target, entry);
    if (header.type === "hardlink") return;
    lchownSync(target, header.uid, header.gid);
    if (header.type !== "symlink") chmodSync(target, header.mode);
    for (const [name, value] of header.xattrs) setXattr(target, name, value);
    setTimes(target, header.mtime, header.mtime);
  } finally {
    closeSync(parent);
  }
}

/** Opens the folder of an entry, making what is missing. */
function openParent(folder: number, path: string): number {
  try {
    return openIn(folder, path, { flags: O_RDONLY | O_DIRECTORY });
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" || path === "." || path === "/") throw error;
    const above = openParent(folder, posix.dirname(path));
    try {
      mkdirSync(`${fdPath(above)}/${posix.basename(path)}`, { mode: 0o755 });
    } finally {
      closeSync(above);
    }
    return openIn(folder, path, { flags: O_RDONLY | O_DIRECTORY });
  }
}

/** What is there makes room, but a folder for a folder stays. */
function clearPlace(target: string, { type }: TarHeader, { noOverwriteDirNonDir }: CopyToOptions): void {
  const there = lstatSync(target, { throwIfNoEntry: false });
  if (there === undefined || (there.isDirectory() && type === "directory")) return;
  if (noOverwriteDirNonDir && there.isDirectory() !== (type === "directory"))
    throw new EngineError(
      "invalid",
      there.isDirectory()
        ? `cannot overwrite directory "${posix.basename(target)}" with non-directory`
        : `cannot overwrite non-directory "${posix.basename(target)}" with directory`,
    );
  rmSync(target, { recursive: true, force: true });
}

async function make(folder: number, target: string, entry: TarEntry): Promise<void> {
  const { header } = entry;
  switch (header.type) {
    case "directory":
      if (lstatSync(target, { throwIfNoEntry: false }) === undefined) mkdirSync(target);
      return;
    case "symlink":
      return symlinkSync(header.linkPath, target);
    case "hardlink": {
      const source = cleanEntryPath(header.linkPath);
      if (source === undefined)
        throw new EngineError("invalid", `the archive's link ${JSON.stringify(header.path)} leads out of the folder`);
      const from = openIn(folder, posix.dirname(source), { flags: O_RDONLY | O_DIRECTORY });
      try {
        return linkSync(`${fdPath(from)}/${posix.basename(source)}`, target);
      } finally {
        closeSync(from);
      }
    }
    case "file":
      return writeBody(target, entry.body());
    default: {
      const kind = { char: constants.S_IFCHR, block: constants.S_IFBLK, fifo: constants.S_IFIFO }[header.type];
      makeNode(target, (kind & S_IFMT) | header.mode, header.major, header.minor);
    }
  }
}

async function writeBody(target: string, body: AsyncIterable<Buffer>): Promise<void> {
  const fd = openSync(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for await (const chunk of body) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
  } finally {
    closeSync(fd);
  }
}
