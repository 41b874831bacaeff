import { type BigIntStats, createReadStream, lstatSync, readFileSync, readlinkSync } from "node:fs";
import { errnoOf } from "../base/errors.ts";
import type { TarInput, TarType } from "../base/tar/tar.ts";
import type { TarWriter } from "../base/tar/writer.ts";
import { deviceNumbers } from "../kernel/nodes.ts";
import { readXattrs } from "./attributes.ts";
import { DELETED, type TreeChange } from "./compare.ts";

/** Files up to this size go in one piece. Bytes. */
const SMALL_FILE = 256 << 10;

/**
 * Writes changes as a layer: what is there as it is, what is gone as a `.wh.` entry. Sockets are left out, as they are everywhere.
 * A file that shrinks meanwhile is filled up with zeros, one that grows is cut: the archive stays well-formed.
 */
export async function writeLayer(root: string, changes: readonly TreeChange[], writer: TarWriter): Promise<void> {
  const links = new Map<string, Buffer>();
  for (const { path, kind } of changes) {
    if (kind === DELETED) await writer.add({ path: bytesOf(whiteoutOf(path)), mode: 0 });
    else await writeEntry(Buffer.from(root).toString("latin1"), path, links, writer);
  }
  await writer.finish();
}

async function writeEntry(root: string, path: string, links: Map<string, Buffer>, writer: TarWriter): Promise<void> {
  const full = bytesOf(`${root}/${path}`);
  const stats = lstatSync(full, { bigint: true, throwIfNoEntry: false });
  const type = stats === undefined ? undefined : typeOf(stats);
  if (stats === undefined || type === undefined) return;
  const name = bytesOf(path);
  const first = linkedBefore(links, stats, name);
  const header: TarInput = {
    path: name,
    type: first === undefined ? type : "hardlink",
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: stats.mtimeNs,
    ...(type === "char" || type === "block" ? deviceNumbers(stats.rdev) : {}),
    linkPath: first ?? (type === "symlink" ? readlinkSync(full, { encoding: "buffer" }) : ""),
    xattrs: first === undefined ? readXattrs(full) : undefined,
  };
  if (header.type !== "file") await writer.add(header);
  else if (stats.size <= SMALL_FILE) await writer.add(header, readFileSync(full));
  else await writer.add({ ...header, size: Number(stats.size) }, exactly(full, Number(stats.size)));
}

function whiteoutOf(path: string): string {
  const cut = path.lastIndexOf("/") + 1;
  return `${path.slice(0, cut)}.wh.${path.slice(cut)}`;
}

function typeOf(stats: BigIntStats): TarType | undefined {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  if (stats.isSymbolicLink()) return "symlink";
  if (stats.isCharacterDevice()) return "char";
  if (stats.isBlockDevice()) return "block";
  return stats.isFIFO() ? "fifo" : undefined;
}

function linkedBefore(links: Map<string, Buffer>, stats: BigIntStats, name: Buffer): Buffer | undefined {
  if (stats.nlink < 2n || stats.isDirectory()) return undefined;
  const id = `${stats.dev}:${stats.ino}`;
  const first = links.get(id);
  if (first === undefined) links.set(id, name);
  return first;
}

async function* exactly(path: Buffer, size: number): AsyncGenerator<Uint8Array> {
  let left = size;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, end: size - 1 })) {
      left -= chunk.length;
      yield chunk;
    }
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
  for (; left > 0; left -= Math.min(left, 65536)) yield Buffer.alloc(Math.min(left, 65536));
}

function bytesOf(path: string): Buffer {
  return Buffer.from(path, "latin1");
}
