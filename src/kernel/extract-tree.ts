/** A tar into a folder that others may be changing: every name is worked on in a folder that was opened inside. */

import { isUtf8 } from "node:buffer";
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { posix } from "node:path";
import type { Readable } from "node:stream";
import { EngineError, errnoOf } from "../base/errors.ts";
import { cleanEntryPath } from "../base/tar/names.ts";
import { readTar, type TarEntry } from "../base/tar/reader.ts";
import type { TarHeader } from "../base/tar/tar.ts";
import { makeNode, setTimes } from "./nodes.ts";
import { fdPath, O_PATH, openIn } from "./rooted.ts";
import { removeTree } from "./trees.ts";
import { setXattr } from "./xattrs.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_WRONLY, O_CREAT, O_EXCL, S_IFMT } = constants;

/** What a tar's folders are given last: what is put into them changes their times. */
interface FolderTime {
  readonly path: string;
  readonly mtime: bigint;
}

export interface ExtractOptions {
  /** Where in the folder; links on the way and in it are resolved from the folder all the same. Default: the folder itself. */
  readonly at?: string | undefined;
  readonly noOverwriteDirNonDir: boolean;
  /** Instead of the archive's owners. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** Puts a tar's entries into the folder. "invalid" for ones that lead out of it; what came before them stays. */
export async function extractTar(folder: number, tar: Readable, options: ExtractOptions): Promise<void> {
  const folders: FolderTime[] = [];
  const at = latin1(options.at ?? "");
  for await (const entry of readTar(tar)) {
    const { path: name, rawPath } = entry.header;
    const path = cleanEntryPath(latin1(rawPath ?? name));
    if (path === undefined)
      throw new EngineError("invalid", `the archive's entry ${JSON.stringify(name)} leads out of the folder`);
    if (path === "" || path === ".") continue;
    const place = posix.join(at, path);
    await extract(folder, place, entry, options);
    if (entry.header.type === "directory") folders.push({ path: place, mtime: entry.header.mtime });
  }
  for (const { path, mtime } of folders.toReversed()) stampFolder(folder, path, mtime);
}

function stampFolder(folder: number, path: string, mtime: bigint): void {
  const fd = openIn(folder, bytes(posix.dirname(path)), { flags: O_RDONLY | O_DIRECTORY });
  try {
    setTimes(bytes(`${fdPath(fd)}/${posix.basename(path)}`), mtime, mtime);
  } finally {
    closeSync(fd);
  }
}

async function extract(folder: number, path: string, entry: TarEntry, options: ExtractOptions): Promise<void> {
  const { header } = entry;
  const { uid, gid } = options.owner ?? header;
  const parent = openParent(folder, posix.dirname(path));
  try {
    const target = bytes(`${fdPath(parent)}/${posix.basename(path)}`);
    await clearPlace(target, header, options);
    await make(folder, target, entry, latin1(options.at ?? ""));
    if (header.type === "hardlink") return;
    lchownSync(target, uid, gid);
    if (header.type !== "symlink") setMode(parent, posix.basename(path), header.mode);
    for (const [name, value] of header.xattrs) setXattr(target, name, value);
    setTimes(target, header.mtime, header.mtime);
  } finally {
    closeSync(parent);
  }
}

/** Of what is there and no other: whoever puts a link in its place meanwhile gains nothing. */
function setMode(parent: number, name: string, mode: number): void {
  const fd = openIn(parent, bytes(name), { flags: O_PATH | O_NOFOLLOW });
  try {
    if (!fstatSync(fd).isSymbolicLink()) chmodSync(fdPath(fd), mode);
  } finally {
    closeSync(fd);
  }
}

/** Opens the folder of an entry, making what is missing. */
function openParent(folder: number, path: string): number {
  try {
    return openIn(folder, bytes(path), { flags: O_RDONLY | O_DIRECTORY });
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" || path === "." || path === "/") throw error;
    const above = openParent(folder, posix.dirname(path));
    try {
      mkdirSync(bytes(`${fdPath(above)}/${posix.basename(path)}`), { mode: 0o755 });
    } finally {
      closeSync(above);
    }
    return openIn(folder, bytes(path), { flags: O_RDONLY | O_DIRECTORY });
  }
}

/** What is there makes room, but a folder for a folder stays. */
async function clearPlace(
  target: Buffer,
  { type }: TarHeader,
  { noOverwriteDirNonDir }: ExtractOptions,
): Promise<void> {
  const there = lstatSync(target, { throwIfNoEntry: false });
  if (there === undefined || (there.isDirectory() && type === "directory")) return;
  if (noOverwriteDirNonDir && there.isDirectory() !== (type === "directory"))
    throw new EngineError(
      "invalid",
      there.isDirectory()
        ? `cannot overwrite directory "${posix.basename(String(target))}" with non-directory`
        : `cannot overwrite non-directory "${posix.basename(String(target))}" with directory`,
    );
  if (there.isDirectory() && isUtf8(target)) await removeTree(target.toString());
  else rmSync(target, { recursive: true, force: true });
}

async function make(folder: number, target: Buffer, entry: TarEntry, at: string): Promise<void> {
  const { header } = entry;
  switch (header.type) {
    case "directory":
      if (lstatSync(target, { throwIfNoEntry: false }) === undefined) mkdirSync(target);
      return;
    case "symlink":
      return symlinkSync(header.rawLinkPath ?? header.linkPath, target);
    case "hardlink": {
      const source = cleanEntryPath(latin1(header.rawLinkPath ?? header.linkPath));
      if (source === undefined)
        throw new EngineError("invalid", `the archive's link ${JSON.stringify(header.path)} leads out of the folder`);
      const from = openIn(folder, bytes(posix.join(at, posix.dirname(source))), { flags: O_RDONLY | O_DIRECTORY });
      try {
        return linkSync(bytes(`${fdPath(from)}/${posix.basename(source)}`), target);
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

async function writeBody(target: Buffer, body: AsyncIterable<Buffer>): Promise<void> {
  const fd = openSync(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for await (const chunk of body) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
  } finally {
    closeSync(fd);
  }
}

/** Paths have a character for each byte: names need not be UTF-8. */
const latin1 = (text: string | Buffer) => Buffer.from(text as string).toString("latin1");
const bytes = (path: string) => Buffer.from(path, "latin1");
