/**
 * Unpacks an archive from a container on this machine. What the container put into it is not trusted: nothing is written
 * through a link, or outside the place.
 */
import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { EngineError } from "../../base/errors.ts";
import { cleanEntryPath } from "../../base/tar/names.ts";
import { readTar, type TarEntry } from "../../base/tar/reader.ts";
import type { TarHeader } from "../../base/tar/tar.ts";

export class Extraction {
  readonly #place: string;
  readonly #owners: boolean;
  #root: string | undefined;
  /** Folders that are known to be folders, not links. */
  readonly #safe = new Set<string>();
  readonly #folders: { readonly path: string; readonly header: TarHeader }[] = [];

  /** The archive's first entry becomes `place`; with `root` what is below that name goes into it, and `place` stays as it is. */
  constructor(place: string, owners: boolean, root?: string) {
    this.#place = place;
    this.#owners = owners;
    this.#root = root;
  }

  async run(archive: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const entry of readTar(archive)) await this.#unpack(entry);
    // Times of folders last: what is put into them changes them.
    for (const { path, header } of this.#folders.toReversed()) this.#attributes(path, header);
  }

  async #unpack(entry: TarEntry): Promise<void> {
    const { header } = entry;
    const path = this.#pathOf(header.path);
    this.#checkParents(path);
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (header.type === "directory") {
      if (there !== undefined && !there.isDirectory())
        throw new EngineError("conflict", `cannot overwrite non-directory ${JSON.stringify(path)} with directory`);
      if (there === undefined) mkdirSync(path);
      this.#folders.push({ path, header });
      return;
    }
    if (there?.isDirectory())
      throw new EngineError("conflict", `cannot overwrite directory ${JSON.stringify(path)} with non-directory`);
    if (there !== undefined) rmSync(path);
    if (header.type === "file") await writeBody(path, entry);
    else if (header.type === "symlink") symlinkSync(header.linkPath, path);
    else if (header.type === "hardlink") linkSync(this.#linked(header.linkPath), path);
    else return;
    if (header.type !== "hardlink") this.#attributes(path, header);
  }

  #pathOf(name: string): string {
    const clean = name.replace(/^(\.\/)+/, "").replace(/\/+$/, "");
    if (this.#root === undefined) {
      this.#root = clean === "." ? "" : clean;
      return this.#place;
    }
    const below =
      this.#root === "" ? clean : clean.startsWith(`${this.#root}/`) ? clean.slice(this.#root.length + 1) : undefined;
    const relative = below === undefined ? undefined : cleanEntryPath(below);
    if (relative === undefined)
      throw new EngineError(
        "invalid",
        `the archive has an entry outside of what was asked for: ${JSON.stringify(name)}`,
      );
    return relative === "" || relative === "." ? this.#place : join(this.#place, relative);
  }

  #linked(name: string): string {
    const path = this.#pathOf(name);
    this.#checkParents(path);
    return path;
  }

  #checkParents(path: string): void {
    if (path === this.#place) return;
    for (
      let parent = dirname(path);
      parent.length > this.#place.length && !this.#safe.has(parent);
      parent = dirname(parent)
    ) {
      if (!lstatSync(parent).isDirectory())
        throw new EngineError("invalid", `the archive writes through ${JSON.stringify(parent)}, which is no folder`);
      this.#safe.add(parent);
    }
  }

  #attributes(path: string, { type, mode, uid, gid, mtime }: TarHeader): void {
    if (this.#owners) lchownSync(path, uid, gid);
    if (type !== "symlink") chmodSync(path, mode);
    const seconds = Number(mtime) / 1e9;
    lutimesSync(path, seconds, seconds);
  }
}

async function writeBody(path: string, entry: TarEntry): Promise<void> {
  const fd = openSync(path, "wx", 0o600);
  try {
    for await (const chunk of entry.body() as AsyncIterable<Buffer>)
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
