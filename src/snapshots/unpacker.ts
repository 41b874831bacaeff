import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  linkSync,
  openSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { explainDiskFull } from "../base/disk-full.ts";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import { cleanEntryPath } from "../base/tar/names.ts";
import type { TarHeader, TarSink } from "../base/tar/tar.ts";
import type { NewFiles } from "../kernel/new-files.ts";
import { createFile, makeNode, setTimes } from "../kernel/nodes.ts";
import { applyMode, applyOwner, applyXattrs } from "./attributes.ts";
import { joined, nameOf, parentOf, Tree } from "./tree.ts";

/**
 * What becomes of `.wh.` entries. "overlay": character devices 0:0 and trusted.overlay.opaque, the tree is one layer alone;
 * "apply": they delete, the tree holds the layers below already.
 */
export type WhiteoutMode = "overlay" | "apply";

export interface UnpackedTree {
  /** Bytes of file data written. */
  readonly bytes: number;
  /** Directories that the layer needs and does not describe, parents first: their attributes are those of the layers below. */
  readonly implied: readonly string[];
  /** Extended attributes that the file system refused. */
  readonly refusedXattrs: readonly string[];
}

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
const WRITE_NEW = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
const NODE_TYPES = { char: constants.S_IFCHR, block: constants.S_IFBLK, fifo: constants.S_IFIFO } as const;

/**
 * Puts a layer's entries below `root`, synchronously. Nobody else may write there meanwhile: the tree's own knowledge of what is
 * a directory and what a link is what keeps every path inside (see tree.ts). Errors that the archive causes are "invalid" and name the entry.
 * Later entries replace earlier ones; directories merge. Times of directories come last, in `finish`.
 */
export class Unpacker implements TarSink {
  readonly #tree: Tree;
  readonly #mode: WhiteoutMode;
  readonly #umask: number;
  readonly #refused = new Set<string>();
  #file: { readonly fd: number; readonly path: string; readonly header: TarHeader } | undefined;
  /** A file that is not made yet: when its data comes in one piece, one call does it all. */
  #announced: { readonly path: string; readonly header: TarHeader } | undefined;
  /** Set for entries that may be made later than they are told of: small files that no other entry refers to or replaces. */
  later: NewFiles | undefined;
  #entry = "";
  #bytes = 0;

  constructor({ root, mode, umask }: { readonly root: string; readonly mode: WhiteoutMode; readonly umask: number }) {
    this.#tree = new Tree(root);
    this.#mode = mode;
    this.#umask = umask;
  }

  entry(header: TarHeader): void {
    this.#entry = header.path;
    this.#explained(() => this.#place(header));
  }

  data(chunk: Buffer, position: number): void {
    this.#bytes += chunk.length;
    this.#explained(() => {
      const announced = this.#announced;
      if (announced !== undefined && chunk.length === announced.header.size) this.#createWhole(announced, chunk);
      else this.#writePiece(chunk, position);
    });
  }

  end(): void {
    const { header } = this.#announced ?? {};
    // Empty, or a hole from one end to the other.
    if (header !== undefined && header.size === 0) this.data(NOTHING, 0);
    else if (header !== undefined) this.#explained(() => this.#open());
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    this.#explained(() => {
      try {
        this.#finishFile(file);
      } finally {
        closeSync(file.fd);
      }
    });
  }

  finish(): UnpackedTree {
    this.#entry = "";
    return this.#explained(() => {
      this.#tree.finish((path, header) => this.#applyAttributes(path, header));
      return { bytes: this.#bytes, implied: this.#tree.implied(), refusedXattrs: [...this.#refused] };
    });
  }

  /** Closes what is open after an error. */
  abort(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  #place(header: TarHeader): void {
    const path = cleanEntryPath(this.#tree.encoded(header.path, header.rawPath));
    if (path === undefined) throw this.#refuse("its path leaves the root");
    const name = nameOf(path);
    if (path === "") this.#placeRoot(header);
    else if (name.startsWith(WHITEOUT)) this.#placeWhiteout(this.#tree.folder(parentOf(path)), name);
    else PLACE[header.type](this, joined(this.#tree.folder(parentOf(path)), name), header);
  }

  #placeRoot(header: TarHeader): void {
    if (header.type !== "directory") throw this.#refuse("the root can only be a directory");
    this.#tree.describe("", header);
  }

  #placeWhiteout(parent: string, name: string): void {
    if (name === OPAQUE) {
      if (this.#mode === "overlay") this.#tree.markOpaque(parent);
      else this.#tree.removeInherited(parent);
      return;
    }
    // Bookkeeping of aufs, which Docker skips too.
    if (name.startsWith(".wh..wh.")) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..") throw this.#refuse("a whiteout of no name");
    const path = joined(parent, hidden);
    if (this.#mode === "overlay") this.#tree.whiteOut(path);
    else this.#tree.removeInheritedEntry(path);
  }

  makeFile(path: string, header: TarHeader): void {
    this.#announced = { path, header };
  }

  #createWhole({ path, header }: { path: string; header: TarHeader }, data: Buffer): void {
    this.#announced = undefined;
    const full = this.#tree.full(path);
    const { mode, atime, mtime, xattrs } = header;
    const chmod = this.#needsMode(mode) ? mode : undefined;
    const owner = this.#needsOwner(header) ? header : undefined;
    const times = { atimeNs: clamped(atime ?? mtime), mtimeNs: clamped(mtime) };
    const file = { path: full, data, mode: mode & 0o777, chmod, owner, ...times };
    const isLater = this.later?.takes(data.length) === true && xattrs.size === 0;
    this.#tree.creating(path, () => (isLater ? this.later?.add(file) : createFile(file)));
    if (xattrs.size > 0) applyXattrs(full, xattrs, this.#refused);
  }

  #open(): { readonly fd: number } {
    const { path, header } = this.#announced as { path: string; header: TarHeader };
    this.#announced = undefined;
    const full = this.#tree.full(path);
    const fd = this.#tree.creating(path, () => openSync(full, WRITE_NEW, header.mode & 0o777));
    this.#file = { fd, path: full, header };
    return this.#file;
  }

  #writePiece(chunk: Buffer, position: number): void {
    const { fd } = this.#file ?? this.#open();
    for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at, chunk.length - at, position + at);
  }

  makeDirectory(path: string, header: TarHeader): void {
    this.#tree.makeFolder(path);
    this.#tree.describe(path, header);
  }

  makeSymlink(path: string, header: TarHeader): void {
    const full = this.#tree.full(path);
    if (header.linkPath === "") throw this.#refuse("a symbolic link to nothing");
    this.#tree.creating(path, () => symlinkSync(header.rawLinkPath ?? header.linkPath, full));
    this.#applyAttributes(full, header);
  }

  makeHardLink(path: string, header: TarHeader): void {
    const cleaned = cleanEntryPath(this.#tree.encoded(header.linkPath, header.rawLinkPath));
    if (cleaned === undefined || cleaned === "")
      throw this.#refuse(`it links to ${quoted(header.linkPath)}, outside the root`);
    const source = this.#tree.resolveEntry(cleaned);
    if (source === undefined) throw this.#refuse(`it links to ${quoted(header.linkPath)}, which is not in the layer`);
    if (source === path) return;
    if (this.#tree.isFolder(source)) throw this.#refuse(`it links to ${quoted(header.linkPath)}, which is a directory`);
    this.#tree.creating(path, () => linkSync(this.#tree.full(source), this.#tree.full(path)));
  }

  makeSpecial(path: string, header: TarHeader): void {
    const type = NODE_TYPES[header.type as keyof typeof NODE_TYPES];
    const full = this.#tree.full(path);
    this.#tree.creating(path, () => makeNode(full, type | (header.mode & 0o777), header.major, header.minor));
    this.#applyAttributes(full, header);
  }

  /** By path: owner before mode (chown clears setuid), extended attributes after the owner (it clears capabilities), times last. */
  #applyAttributes(full: string, header: TarHeader): void {
    if (header.type === "directory" || this.#needsOwner(header)) applyOwner(full, header.uid, header.gid);
    if (header.type !== "symlink") applyMode(full, header.mode);
    this.#applyRest(full, header);
  }

  #finishFile({ fd, path, header }: { fd: number; path: string; header: TarHeader }): void {
    const { uid, gid, mode, size, sparse } = header;
    if (sparse !== undefined) ftruncateSync(fd, size);
    if (this.#needsOwner(header)) fchownSync(fd, uid, gid);
    if (this.#needsMode(mode)) fchmodSync(fd, mode);
    this.#applyRest(path, header);
  }

  /** What is new belongs to root, but below inherited setgid folders. */
  #needsOwner({ uid, gid }: TarHeader): boolean {
    return this.#mode === "apply" || uid !== 0 || gid !== 0;
  }

  /** A new file has the mode it was opened with, less the umask. */
  #needsMode(mode: number): boolean {
    return (mode & (0o7000 | this.#umask)) !== 0;
  }

  #applyRest(full: string, header: TarHeader): void {
    if (header.xattrs.size > 0) applyXattrs(full, header.xattrs, this.#refused);
    setTimes(full, clamped(header.atime ?? header.mtime), clamped(header.mtime));
  }

  #refuse(why: string): EngineError {
    return new EngineError("invalid", `refusing layer entry ${quoted(this.#entry)}: ${why}`);
  }

  #explained<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explainEntryError(error, this.#entry);
    }
  }
}

const PLACE: Readonly<Record<TarHeader["type"], (unpacker: Unpacker, path: string, header: TarHeader) => void>> = {
  file: (unpacker, path, header) => unpacker.makeFile(path, header),
  directory: (unpacker, path, header) => unpacker.makeDirectory(path, header),
  symlink: (unpacker, path, header) => unpacker.makeSymlink(path, header),
  hardlink: (unpacker, path, header) => unpacker.makeHardLink(path, header),
  char: (unpacker, path, header) => unpacker.makeSpecial(path, header),
  block: (unpacker, path, header) => unpacker.makeSpecial(path, header),
  fifo: (unpacker, path, header) => unpacker.makeSpecial(path, header),
};

const NOTHING = Buffer.alloc(0);

/** What the kernel can be told: the years 1678 to 2262. */
function clamped(nanoseconds: bigint): bigint {
  if (nanoseconds === BigInt.asIntN(64, nanoseconds)) return nanoseconds;
  return nanoseconds < 0n ? -(1n << 63n) : (1n << 63n) - 1n;
}

/** System errors that only a wrong archive can cause in a tree that is nobody else's. */
const ARCHIVE_ERRORS = new Set(["ENAMETOOLONG", "ENOTDIR", "EISDIR", "EEXIST", "ELOOP", "EINVAL", "ENOENT", "EMLINK"]);

export function explainEntryError(error: unknown, entry: string): unknown {
  if (error instanceof EngineError) return error;
  const code = errnoOf(error) ?? "";
  if (ARCHIVE_ERRORS.has(code)) {
    return new EngineError("invalid", `cannot unpack layer entry ${quoted(entry)}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return explainDiskFull(error, `unpacking layer entry ${quoted(entry)}`);
}

/** "ENAMETOOLONG: name too long", without the paths of this machine. */
function reasonOf(error: unknown): string {
  return errorMessage(error).replace(/, \w+ '.*/s, "");
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text);
}
