import { type BigIntStats, closeSync, fstatSync, readSync } from "node:fs";
import { EngineError } from "../../../base/errors.ts";
import type { TarHeader } from "../../../base/tar/tar.ts";
import { deviceNumbers } from "../../../kernel/nodes.ts";
import { type BuiltTree, LayerBuilder } from "../../../snapshots/layer-builder.ts";
import { parseMode } from "../../dockerfile/mode.ts";
import { addArchive, isArchive } from "./archive.ts";
import { Breath } from "./breath.ts";
import { checkStop, xattrsOf } from "./digest.ts";
import { Landing, type LandingOptions } from "./landing.ts";
import { baseOf, select } from "./select.ts";
import type { SelectedEntry, Selection } from "./selection.ts";
import { latin1, SourceTree, utf8 } from "./source-tree.ts";

/** Where one COPY or ADD puts what. Plain values, so that a worker can have it. */
export interface CopyTask extends LandingOptions {
  readonly kind: "copy";
  /** A file to make: the layer's tar. */
  readonly tar: string;
  readonly items: readonly CopyItem[];
  readonly chmod: string | undefined;
  readonly stop: Int32Array;
}

interface FileAttributes extends Partial<TarHeader> {
  readonly isAlone: boolean;
}

export type CopyItem =
  | {
      readonly kind: "selection";
      readonly selection: Selection /** Files that are archives are unpacked. */;
      readonly unpack: boolean;
    }
  | { readonly kind: "inline"; readonly name: string; readonly content: string; readonly mtime: bigint };

/** Makes the layer. On failure what was made stays for the caller to remove. */
export async function copyFiles(task: CopyTask): Promise<BuiltTree> {
  const builder = new LayerBuilder(task.place, task.tar);
  try {
    const copier = new Copier(task, builder);
    for (const item of task.items) {
      if (item.kind === "inline") copier.inline(item);
      else await copier.selection(item);
    }
    return builder.finish();
  } catch (error) {
    await builder.settled().catch(() => {});
    builder.abort();
    throw error;
  }
}

class Copier {
  readonly #task: CopyTask;
  readonly #builder: LayerBuilder;
  readonly #landing: Landing;
  readonly #breath: Breath;
  readonly #buffer = Buffer.allocUnsafeSlow(256 << 10);

  constructor(task: CopyTask, builder: LayerBuilder) {
    this.#task = task;
    this.#builder = builder;
    this.#landing = new Landing(task, builder);
    this.#breath = new Breath(() => checkStop(task.stop));
  }

  inline({ name, content, mtime }: CopyItem & { readonly kind: "inline" }): void {
    const data = Buffer.from(content);
    const to = this.#landing.fileAt(latin1(name), this.#task.items.length > 1);
    const header = this.#header(to, { type: "file", mode: 0o644, uid: 0, gid: 0, size: data.length, mtime });
    this.#add(header, data);
  }

  async selection({ selection, unpack }: CopyItem & { readonly kind: "selection" }): Promise<void> {
    using tree = new SourceTree(selection.source.root);
    const entries = await select(tree, selection, this.#breath);
    this.#landing.check(entries);
    const links = new Map<string, string>();
    for (const entry of entries) {
      if (this.#breath.due) await this.#breath.take();
      const room = this.#builder.room;
      if (room !== undefined) await room;
      if (unpack && entry.named && entry.stats.isFile() && (await isArchive(tree, entry.path))) {
        await this.#archive(tree, entry.path);
      } else this.#entry(tree, selection, entry, links);
    }
    await this.#builder.settled();
  }

  #entry(tree: SourceTree, { source }: Selection, entry: SelectedEntry, links: Map<string, string>): void {
    const { stats, path } = entry;
    const owner = source.foreign ? { uid: 0, gid: 0 } : { uid: Number(stats.uid), gid: Number(stats.gid) };
    const attributes = { mode: Number(stats.mode & 0o7777n), ...owner, mtime: stats.mtimeNs };
    if (stats.isDirectory()) {
      const to = this.#landing.folderAt(entry.to, entry.to === "");
      if (to === undefined) return;
      this.#add(this.#header(to, { type: "directory", ...attributes, xattrs: xattrsOf(tree.place(path)) }));
      return;
    }
    const to = entry.named ? this.#landing.fileAt(entry.to, this.#several) : this.#landing.childAt(entry.to);
    const inode = `${stats.dev}:${stats.ino}`;
    const first = stats.nlink > 1n ? links.get(inode) : undefined;
    if (stats.nlink > 1n) links.set(inode, first ?? to);
    if (first !== undefined && first !== to) {
      this.#add(
        this.#header(to, { type: "hardlink", linkPath: utf8(first), rawLinkPath: rawOf(first), ...attributes }),
      );
    } else if (stats.isFile())
      this.#file(tree, path, to, { ...attributes, isAlone: this.#isAlone && stats.nlink === 1n });
    else this.#add(this.#header(to, { ...attributes, ...special(tree, path, stats) }));
  }

  async #archive(tree: SourceTree, path: string): Promise<void> {
    const { owner, latest, stop } = this.#task;
    const parts = { landing: this.#landing, builder: this.#builder, owner, latest };
    await addArchive({ tree, path, ...parts, stop: () => checkStop(stop) });
  }

  get #several(): boolean {
    return this.#task.items.length > 1;
  }

  #file(tree: SourceTree, path: string, to: string, { isAlone, ...attributes }: FileAttributes): void {
    const data = tree.readPlain(path, this.#buffer);
    if (data === undefined) this.#inPieces(tree, path, to, attributes);
    else this.#add(this.#header(to, { type: "file", ...attributes, size: data.length }), data, isAlone);
  }

  /** A selection has each destination once; of several, one may replace what another brought. */
  get #isAlone(): boolean {
    const [first, ...others] = this.#task.items;
    return others.length === 0 && first?.kind === "selection" && !first.unpack;
  }

  #inPieces(tree: SourceTree, path: string, to: string, attributes: Partial<TarHeader>): void {
    const fd = tree.openFile(path);
    try {
      const { size } = fstatSync(fd);
      const xattrs = xattrsOf(tree.place(path));
      this.#builder.entry(this.#header(to, { type: "file", ...attributes, size, xattrs }));
      for (let at = 0; at < size; ) {
        const count = readSync(fd, this.#buffer, 0, Math.min(this.#buffer.length, size - at), at);
        if (count === 0) throw new EngineError("conflict", `${utf8(path)} changed while it was being copied`);
        this.#builder.data(this.#buffer.subarray(0, count), at);
        at += count;
        checkStop(this.#task.stop);
      }
      this.#builder.end();
    } finally {
      closeSync(fd);
    }
  }

  #header(to: string, given: Partial<TarHeader> & Pick<TarHeader, "type">): TarHeader {
    const { owner, chmod, latest } = this.#task;
    refuseWhiteout(to);
    const isLink = given.type === "symlink" || given.type === "hardlink";
    const mode = given.mode ?? 0o644;
    const mtime = given.mtime ?? 0n;
    return {
      ...EMPTY_HEADER,
      ...given,
      path: utf8(to),
      rawPath: rawOf(to),
      ...owner,
      mode: chmod === undefined || isLink ? mode : changed(mode, chmod, given.type === "directory"),
      mtime: latest !== undefined && mtime > latest ? latest : mtime,
    };
  }

  #add(header: TarHeader, data?: Buffer, isAlone = false): void {
    this.#builder.entry(header, isAlone);
    if (data !== undefined && data.length > 0) this.#builder.data(data, 0);
    this.#builder.end();
  }
}

function refuseWhiteout(path: string): void {
  if (!baseOf(path).startsWith(".wh.")) return;
  throw new EngineError("invalid", `a file cannot be called ${JSON.stringify(utf8(path))} in an image`, {
    hint: "names that begin with .wh. say in a layer that something is gone",
  });
}

export const EMPTY_HEADER: TarHeader = Object.freeze({
  type: "file",
  path: "",
  rawPath: undefined,
  linkPath: "",
  rawLinkPath: undefined,
  mode: 0,
  uid: 0,
  gid: 0,
  userName: "",
  groupName: "",
  size: 0,
  mtime: 0n,
  atime: undefined,
  major: 0,
  minor: 0,
  xattrs: new Map(),
  sparse: undefined,
});

function special(tree: SourceTree, path: string, stats: BigIntStats): Partial<TarHeader> & Pick<TarHeader, "type"> {
  if (stats.isSymbolicLink()) {
    const target = tree.linkTarget(path);
    const text = target.toString("latin1");
    return { type: "symlink", mode: 0o777, linkPath: utf8(text), rawLinkPath: rawOf(text) };
  }
  if (stats.isFIFO()) return { type: "fifo" };
  return { type: stats.isBlockDevice() ? "block" : "char", ...deviceNumbers(stats.rdev) };
}

/** The bytes of a path that is no UTF-8. */
export function rawOf(path: string): Buffer | undefined {
  return latin1(utf8(path)) === path ? undefined : Buffer.from(path, "latin1");
}

function changed(mode: number, chmod: string, isFolder: boolean): number {
  return parseMode(chmod)?.(mode, isFolder) ?? mode;
}
