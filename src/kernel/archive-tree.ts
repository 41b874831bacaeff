/** A part of a file tree into a tar, while others may be changing it. */
import {
  type BigIntStats,
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
} from "node:fs";
import { posix } from "node:path";
import { errnoOf } from "../base/errors.ts";
import type { TarHeader, TarInput } from "../base/tar/tar.ts";
import type { TarWriter } from "../base/tar/writer.ts";
import { deviceNumbers } from "./nodes.ts";
import { fdPath, O_PATH, openIn } from "./rooted.ts";
import { getXattr, listXattrs } from "./xattrs.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** Adds what is at `path` under `name`, and all below it. What vanishes meanwhile is left out. */
export function archiveTree(root: number, path: string, name: string, writer: TarWriter): Promise<void> {
  return archive(root, latin1(path), latin1(name), { writer, links: new Map() });
}

export interface ContentOptions {
  /** Before each name: "linux_amd64/". */
  readonly prefix?: string | undefined;
  /** Nanoseconds since the epoch; what is newer gets this time. */
  readonly latest?: bigint | undefined;
}

/** Adds what is in the folder at `path`, without the folder's own entry, sorted by the names' bytes. */
export async function archiveContent(
  root: number,
  path: string,
  writer: TarWriter,
  { prefix = "", latest }: ContentOptions = {},
): Promise<void> {
  const out = { writer, links: new Map<string, string>(), latest };
  const folder = latin1(path);
  for (const name of namesIn(root, folder)) await archive(root, posix.join(folder, name), prefix + name, out);
}

interface Output {
  readonly writer: TarWriter;
  /** Inode to the name of its first entry. */
  readonly links: Map<string, string>;
  readonly latest?: bigint | undefined;
}

/** Paths in here have a character for each byte: names need not be UTF-8. */
async function archive(root: number, path: string, name: string, out: Output): Promise<void> {
  let fd: number;
  try {
    fd = openIn(root, bytes(path), { flags: O_PATH | O_NOFOLLOW });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    const stat = fstatSync(fd, { bigint: true });
    const found = headerOf(root, path, name, stat);
    if (found === undefined) return;
    const header = out.latest !== undefined && found.mtime > out.latest ? { ...found, mtime: out.latest } : found;
    const inode = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1n && !stat.isDirectory() ? out.links.get(inode) : undefined;
    if (first !== undefined)
      return await out.writer.add({ ...header, type: "hardlink", linkPath: bytes(first), size: 0 });
    if (stat.nlink > 1n) out.links.set(inode, name);
    if (!stat.isFile()) await out.writer.add(header);
    else await addFile(fd, header, out.writer);
    if (!stat.isDirectory()) return;
  } finally {
    closeSync(fd);
  }
  for (const entry of namesIn(root, path)) await archive(root, posix.join(path, entry), nameBelow(name, entry), out);
}

/** "." and "/" are the folder itself. */
function nameBelow(name: string, entry: string): string {
  if (name === "/") return entry;
  return name === "." ? `./${entry}` : `${name}/${entry}`;
}

function namesIn(root: number, path: string): string[] {
  const fd = openIn(root, bytes(path), { flags: O_RDONLY | O_DIRECTORY });
  try {
    return readdirSync(fdPath(fd), { encoding: "latin1" }).sort();
  } finally {
    closeSync(fd);
  }
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
): (TarInput & { size: number; mtime: bigint }) | undefined {
  const type = typeOf(stat);
  if (type === undefined) return undefined;
  const device = deviceNumbers(stat.rdev);
  const place = openIn(root, bytes(posix.dirname(path)), { flags: O_PATH | O_DIRECTORY });
  const own = bytes(`${fdPath(place)}/${posix.basename(path)}`);
  try {
    return {
      path: bytes(type === "directory" && !name.endsWith("/") ? `${name}/` : name),
      type,
      linkPath: type === "symlink" ? readlinkSync(own, { encoding: "buffer" }) : undefined,
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

function attributes(path: Buffer): Map<string, Buffer> {
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

const latin1 = (text: string) => Buffer.from(text).toString("latin1");
const bytes = (path: string) => Buffer.from(path, "latin1");
