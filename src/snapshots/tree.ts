import { chmodSync, constants, lstatSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync } from "node:fs";
import { EngineError, errnoOf } from "../base/errors.ts";
import type { TarHeader } from "../base/tar/tar.ts";
import { makeNode } from "../kernel/nodes.ts";
import { setXattr } from "../kernel/xattrs.ts";
import { OPAQUE_XATTR } from "./attributes.ts";

/** As the kernel's limit for one path. */
const MAX_LINKS = 40;

/**
 * The tree under construction, and what is known of it. Paths are relative to the root, clean ("usr/bin", "" for the root), and
 * *real*: no part of them is a symbolic link. A folder is known once it was made or looked at, and forgotten when it is replaced,
 * so most entries cost no look-up at all; everything else is resolved part by part, links staying inside the root as under chroot.
 */
export class Tree {
  readonly #root: string;
  readonly #folders = new Set([""]);
  /** Everything this layer made, when there is something below that it did not make. */
  readonly #created = new Set<string>();
  readonly #described = new Map<string, TarHeader>();
  readonly #implied = new Set<string>();
  readonly #whiteouts = new Set<string>();
  readonly #opaque = new Set<string>();
  /** Folders that took the place of something this layer removed: nothing of the one below is theirs. */
  readonly #reborn = new Set<string>();
  /** Stand-ins of names that are no UTF-8, until `finish` gives them back their bytes. */
  readonly #standIns = new Map<string, Buffer>();
  readonly #renames = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  full(path: string): string {
    return path === "" ? this.#root : `${this.#root}/${path}`;
  }

  /** An archive's path with a stand-in for every part that is no UTF-8. */
  encoded(text: string, raw: Buffer | undefined): string {
    if (raw === undefined) return text;
    const parts = raw.toString("latin1").split("/");
    return parts.map((part) => this.#encodedName(Buffer.from(part, "latin1"))).join("/");
  }

  /** The real path of a folder, made with its parents where missing. */
  folder(path: string): string {
    return this.#folders.has(path) ? path : (this.#resolve(path, true) as string);
  }

  /** The real path of an entry that exists, its last part not followed. */
  resolveEntry(path: string): string | undefined {
    const parent = this.#resolve(parentOf(path), false);
    if (parent === undefined) return undefined;
    const real = joined(parent, nameOf(path));
    return this.#whiteouts.has(real) || this.#stat(real) === undefined ? undefined : real;
  }

  isFolder(path: string): boolean {
    return this.#folders.has(path) || this.#stat(path)?.isDirectory() === true;
  }

  /** Runs `make`, which fails with EEXIST where something is; that is removed first then. */
  creating<T>(path: string, make: () => T): T {
    this.#created.add(path);
    this.#noteName(path);
    try {
      return make();
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      this.#remove(path);
      this.#created.add(path);
      return make();
    }
  }

  /** Makes a folder; one that is there stays, with what is in it. */
  makeFolder(path: string): void {
    if (this.#folders.has(path)) return;
    if (this.#stat(path)?.isDirectory() !== true) {
      const hidesLower = this.#whiteouts.has(path);
      this.creating(path, () => mkdirSync(this.full(path), 0o755));
      if (hidesLower) this.#hideLower(path);
    }
    this.#created.add(path);
    this.#folders.add(path);
  }

  /** Attributes that `finish` gives to a folder. */
  describe(path: string, header: TarHeader): void {
    this.#described.set(path, header);
    this.#implied.delete(path);
  }

  markOpaque(path: string): void {
    this.#opaque.add(path);
  }

  /** Hides what the layers below have there; what this layer has there stays. */
  whiteOut(path: string): void {
    const stats = this.#stat(path);
    if (stats?.isDirectory() === true) this.#hideLower(path);
    if (stats !== undefined) return;
    this.#noteName(path);
    makeNode(this.full(path), constants.S_IFCHR, 0, 0);
    this.#whiteouts.add(path);
  }

  /** Removes below a folder what this layer did not make. */
  removeInherited(path: string): void {
    for (const name of readdirSync(this.full(path))) this.removeInheritedEntry(joined(path, name));
  }

  removeInheritedEntry(path: string): void {
    if (!this.#created.has(path)) this.#remove(path);
    else if (this.#stat(path)?.isDirectory() === true) this.removeInherited(path);
  }

  /** Attributes, marks and true names, children before their parents. `apply` gets a full path. */
  finish(apply: (full: string, header: TarHeader) => void): void {
    const paths = new Set([...this.#implied, ...this.#described.keys(), ...this.#opaque, ...this.#renames]);
    for (const path of [...paths].sort((a, b) => depthOf(b) - depthOf(a))) {
      const full = this.full(path);
      const header = this.#described.get(path);
      if (this.#implied.has(path)) chmodSync(full, 0o755);
      if (header !== undefined) apply(full, header);
      if (this.#opaque.has(path)) setXattr(full, OPAQUE_XATTR, "y");
      if (this.#renames.has(path)) this.#rename(path);
    }
  }

  /** Folders that no entry described and that may lie on folders of the layers below, parents first. */
  implied(): string[] {
    const below = (path: string): boolean => this.#opaque.has(path) || (path !== "" && below(parentOf(path)));
    const hidden = (path: string): boolean => this.#reborn.has(path) || (path !== "" && below(parentOf(path)));
    const paths = this.#described.has("") ? [...this.#implied] : ["", ...this.#implied];
    return paths.filter((path) => !hidden(path)).sort((a, b) => depthOf(a) - depthOf(b));
  }

  #hideLower(path: string): void {
    this.#opaque.add(path);
    this.#reborn.add(path);
  }

  #resolve(path: string, make: boolean): string | undefined {
    const rest = path.split("/").reverse();
    let current = "";
    let links = 0;
    for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
      if (part === "" || part === ".") continue;
      if (part === "..") {
        current = parentOf(current);
        continue;
      }
      const next = joined(current, part);
      const target = this.#linkTarget(next, make);
      if (target === undefined) return undefined;
      if (target === FOLDER) {
        current = next;
        continue;
      }
      if (++links > MAX_LINKS) throw new EngineError("invalid", `too many symbolic links at ${JSON.stringify(next)}`);
      if (target.startsWith("/")) current = "";
      rest.push(...target.split("/").reverse());
    }
    return current;
  }

  /** FOLDER for a real folder (made if asked for), a symbolic link's target, undefined for nothing. */
  #linkTarget(path: string, make: boolean): string | undefined {
    if (this.#folders.has(path)) return FOLDER;
    const stats = this.#whiteouts.has(path) ? undefined : this.#stat(path);
    if (stats?.isSymbolicLink() === true) return readlinkSync(this.full(path));
    if (stats?.isDirectory() === true) this.#folders.add(path);
    else if (stats !== undefined)
      throw new EngineError("invalid", `${JSON.stringify(path)} in the layer is no directory`);
    else if (make) {
      this.makeFolder(path);
      this.#implied.add(path);
    } else return undefined;
    return FOLDER;
  }

  #remove(path: string): void {
    rmSync(this.full(path), { recursive: true, force: true });
    this.#whiteouts.delete(path);
    this.#created.delete(path);
    this.#renames.delete(path);
    if (!this.#folders.has(path) && !this.#described.has(path)) return;
    for (const known of [
      this.#folders,
      this.#created,
      this.#described,
      this.#implied,
      this.#whiteouts,
      this.#opaque,
      this.#renames,
    ]) {
      for (const key of known.keys()) if (key === path || key.startsWith(`${path}/`)) known.delete(key);
    }
  }

  #stat(path: string) {
    return lstatSync(this.full(path), { throwIfNoEntry: false });
  }

  #encodedName(bytes: Buffer): string {
    const text = bytes.toString();
    if (Buffer.from(text).equals(bytes)) return text;
    const standIn = `\u{10fffd}${bytes.toString("hex")}`;
    this.#standIns.set(standIn, bytes);
    return standIn;
  }

  #noteName(path: string): void {
    if (this.#standIns.size > 0 && this.#standIns.has(nameOf(path))) this.#renames.add(path);
  }

  #rename(path: string): void {
    const bytes = this.#standIns.get(nameOf(path)) as Buffer;
    renameSync(this.full(path), Buffer.concat([Buffer.from(`${this.full(parentOf(path))}/`), bytes]));
  }
}

const FOLDER = "/.";

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function joined(parent: string, name: string): string {
  return parent === "" ? name : `${parent}/${name}`;
}

function depthOf(path: string): number {
  let depth = path === "" ? 0 : 1;
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) depth++;
  return depth;
}
