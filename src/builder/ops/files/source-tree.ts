import { type BigIntStats, closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { errnoOf } from "../../../base/errors.ts";
import { readPlainFile } from "../../../kernel/nodes.ts";
import { fdPath, O_PATH, openIn } from "../../../kernel/rooted.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
const NOTHING = new Set(["ENOENT", "ENOTDIR", "ELOOP"]);

/**
 * A folder that files are taken from. Paths are relative to it ("" for itself) and have one character for each byte (latin1), because
 * names need not be UTF-8. Links are followed by `resolve` alone, and inside the root; everything else wants paths that it gave.
 */
export class SourceTree implements Disposable {
  readonly #fd: number;
  readonly #prefix: string;
  /** The folder looked into last, and its descriptor: neighbours are asked for one after another. */
  #folder: { readonly path: string; readonly fd: number } | undefined;

  constructor(root: string) {
    this.#fd = openSync(root, O_RDONLY | O_DIRECTORY);
    this.#prefix = target(this.#fd).replace(/\/$/, "");
  }

  /** Follows every link of a path; undefined when nothing is there. */
  resolve(path: string): string | undefined {
    const fd = this.#open(path, O_PATH);
    if (fd === undefined) return undefined;
    try {
      return target(fd).slice(this.#prefix.length + 1);
    } finally {
      closeSync(fd);
    }
  }

  /** Of the entry itself, not of what it links to; undefined when it is gone. */
  stat(path: string): BigIntStats | undefined {
    return lstatSync(this.place(path), { bigint: true, throwIfNoEntry: false });
  }

  /** Sorted by bytes. */
  names(folder: string): string[] {
    return readdirSync(fdPath(this.#enter(folder)), { encoding: "latin1" }).sort();
  }

  linkTarget(path: string): Buffer {
    return readlinkSync(this.place(path), { encoding: "buffer" });
  }

  /** A file's descriptor, closed by the caller. Throws when it became something else than a file, a fifo included. */
  openFile(path: string): number {
    return openSync(this.place(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  }

  /** The bytes of a plain small file, read into `into` from its start; undefined for all else, which `openFile` and `place` are for. */
  readPlain(path: string, into: Buffer): Buffer | undefined {
    const cut = path.lastIndexOf("/");
    const name = path.slice(cut + 1);
    const folder = this.#enter(path.slice(0, Math.max(0, cut)));
    const count = readPlainFile(folder, ASCII.test(name) ? name : Buffer.from(name, "latin1"), into);
    return count === undefined ? undefined : into.subarray(0, count);
  }

  /** A path for one system call that does not follow its last part; valid until the next call here. */
  place(path: string): Buffer {
    if (path === "") return Buffer.from(`${fdPath(this.#fd)}/.`);
    const cut = path.lastIndexOf("/");
    const folder = this.#enter(path.slice(0, Math.max(0, cut)));
    return Buffer.from(`${fdPath(folder)}/${path.slice(cut + 1)}`, "latin1");
  }

  [Symbol.dispose](): void {
    this.#leave();
    closeSync(this.#fd);
  }

  /** No part of the path may be a link. */
  #enter(folder: string): number {
    if (folder === "") return this.#fd;
    if (this.#folder?.path === folder) return this.#folder.fd;
    const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    const fd = isUtf8(folder)
      ? openIn(this.#fd, utf8(folder), { flags })
      : openSync(Buffer.from(`${fdPath(this.#fd)}/${folder}`, "latin1"), flags);
    this.#leave();
    this.#folder = { path: folder, fd };
    return fd;
  }

  #leave(): void {
    if (this.#folder !== undefined) closeSync(this.#folder.fd);
    this.#folder = undefined;
  }

  #open(path: string, flags: number): number | undefined {
    try {
      return openIn(this.#fd, utf8(path), { flags });
    } catch (error) {
      if (NOTHING.has(errnoOf(error) ?? "")) return undefined;
      throw error;
    }
  }
}

/** Where an open file lies, in latin1. */
function target(fd: number): string {
  return readlinkSync(fdPath(fd), { encoding: "latin1" });
}

export function utf8(latin1: string): string {
  return ASCII.test(latin1) ? latin1 : Buffer.from(latin1, "latin1").toString();
}

export function latin1(text: string): string {
  return ASCII.test(text) ? text : Buffer.from(text).toString("latin1");
}

const ASCII = /^[\x00-\x7f]*$/;

function isUtf8(path: string): boolean {
  return ASCII.test(path) || latin1(utf8(path)) === path;
}
