/**
 * Copies of file trees that keep everything: owners, modes, times, links, devices, extended attributes, holes. Paths are strings of one
 * character for each byte (latin1), because names need not be UTF-8; `bytes` is what the kernel gets.
 */
import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
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
} from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../base/errors.ts";
import { copyOpenFile } from "../kernel/copy.ts";
import { deviceNumbers, makeNode, setTimes } from "../kernel/nodes.ts";
import { fdPath, O_PATH } from "../kernel/rooted.ts";
import { getXattr, listXattrs, setXattr } from "../kernel/xattrs.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** Entries between two steps. */
const BREATH = 64;
/** What a place says whose entry went, or became something else, while it was read. */
const CHANGED = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EINVAL", "ESTALE"]);

/**
 * Makes the folder `target`, which is ours alone, equal to `source`, which others may be writing to: no link they put there leads out of
 * it. A second pass brings over only what changed since the first (by inode and change time), so that writers have to stand still
 * for that one alone.
 */
export class Mirror {
  readonly #source: Buffer;
  readonly #target: string;
  /** Path below the root to the inode and change time that were copied. */
  readonly #copied = new Map<string, string>();
  #passes = 0;
  /** Inode to the path of its copy, for hard links. */
  #links = new Map<string, Buffer>();
  #count = 0;

  constructor(source: string, target: string) {
    this.#source = Buffer.from(source);
    this.#target = Buffer.from(target).toString("latin1");
  }

  /** One pass; it may be left alone between two steps. */
  *pass(): Generator<undefined, void> {
    this.#links = new Map();
    const root = openSync(this.#source, O_RDONLY | O_DIRECTORY);
    try {
      yield* this.#folder(root, "");
      copyAttributes(this.#source, bytes(this.#target), fstatSync(root, { bigint: true }));
    } finally {
      closeSync(root);
    }
    this.#passes++;
  }

  *#folder(fd: number, path: string): Generator<undefined, void> {
    const names = readdirSync(fdPath(fd), { encoding: "latin1" });
    if (this.#passes > 0) this.#removeAllBut(new Set(names), path);
    for (const name of names) {
      yield* this.#entry(`${fdPath(fd)}/${name}`, path === "" ? name : `${path}/${name}`);
      if (++this.#count % BREATH === 0) yield;
    }
  }

  #removeAllBut(names: ReadonlySet<string>, path: string): void {
    const folder = join(this.#target, path);
    for (const name of readdirSync(bytes(folder), { encoding: "latin1" }))
      if (!names.has(name)) rmSync(bytes(join(folder, name)), { recursive: true, force: true });
  }

  *#entry(place: string, path: string): Generator<undefined, void> {
    const [here, there] = [bytes(place), bytes(join(this.#target, path))];
    try {
      const fd = openSync(here, O_PATH | O_NOFOLLOW);
      try {
        const stat = fstatSync(fd, { bigint: true });
        if (stat.isDirectory()) yield* this.#subfolder(fd, path, there, stat);
        else this.#leaf({ fd, here, path, there, stat });
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (!CHANGED.has(errnoOf(error) ?? "")) throw error;
    }
  }

  *#subfolder(fd: number, path: string, there: Buffer, stat: BigIntStats): Generator<undefined, void> {
    const existing = lstatSync(there, { throwIfNoEntry: false });
    if (existing !== undefined && !existing.isDirectory()) rmSync(there);
    if (!existing?.isDirectory()) mkdirSync(there, { mode: 0o700 });
    const open = openSync(fdPath(fd), O_RDONLY | O_DIRECTORY);
    try {
      yield* this.#folder(open, path);
    } finally {
      closeSync(open);
    }
    copyAttributes(Buffer.from(`${fdPath(fd)}/.`), there, stat);
  }

  #leaf({ fd, here, path, there, stat }: Leaf): void {
    const inode = `${stat.dev}:${stat.ino}`;
    const version = `${inode}:${stat.ctimeNs}`;
    const first = stat.nlink > 1n ? this.#links.get(inode) : undefined;
    if (stat.nlink > 1n && first === undefined) this.#links.set(inode, there);
    if (this.#copied.get(path) === version) return;
    rmSync(there, { recursive: true, force: true });
    if (first === undefined) {
      makeLeaf({ fd, here, there, stat });
      copyAttributes(here, there, stat);
    } else linkSync(first, there);
    this.#copied.set(path, version);
  }
}

/** One pass over what nobody writes to, with pauses for the rest of the process. */
export async function copyTree(from: string, to: string): Promise<void> {
  for (const _ of new Mirror(from, to).pass()) await new Promise((resolve) => setImmediate(resolve));
}

interface Leaf {
  readonly fd: number;
  readonly here: Buffer;
  readonly path: string;
  readonly there: Buffer;
  readonly stat: BigIntStats;
}

function makeLeaf({ fd, here, there, stat }: Omit<Leaf, "path">): void {
  if (stat.isSymbolicLink()) {
    symlinkSync(readlinkSync(here, { encoding: "buffer" }), there);
    return;
  }
  if (!stat.isFile()) {
    const { major, minor } = deviceNumbers(stat.rdev);
    makeNode(there, Number(stat.mode), major, minor);
    return;
  }
  const file = openSync(fdPath(fd), O_RDONLY);
  try {
    copyOpenFile(file, there);
  } finally {
    closeSync(file);
  }
}

/** Owner first: changing it takes setuid bits and capabilities away. */
export function copyAttributes(source: Buffer, target: Buffer, stat: BigIntStats): void {
  lchownSync(target, Number(stat.uid), Number(stat.gid));
  if (!stat.isSymbolicLink()) chmodSync(target, Number(stat.mode) & 0o7777);
  for (const name of listXattrs(source)) if (!OVERLAY.test(name)) copyXattr(source, target, name);
  setTimes(target, stat.atimeNs, stat.mtimeNs);
}

/** Overlay's own notes, which mean nothing elsewhere. */
const OVERLAY = /^(?:trusted|user)\.overlay\./;
/** Not every file system takes every attribute; a tmpfs or nfs volume does without. */
const REFUSED = new Set(["ENOTSUP", "EOPNOTSUPP", "EPERM", "EINVAL"]);

function copyXattr(source: Buffer, target: Buffer, name: string): void {
  const value = getXattr(source, name);
  try {
    if (value !== undefined) setXattr(target, name, value);
  } catch (error) {
    if (!REFUSED.has(errnoOf(error) ?? "")) throw error;
  }
}

function bytes(path: string): Buffer {
  return Buffer.from(path, "latin1");
}
