import { lstatSync, readlinkSync } from "node:fs";
import { EngineError } from "../../../base/errors.ts";
import type { TarHeader } from "../../../base/tar/tar.ts";
import { Below } from "../../../snapshots/below.ts";
import type { LayerBuilder, Workplace } from "../../../snapshots/layer-builder.ts";
import { xattrsOf } from "./digest.ts";
import { clean, joined } from "./select.ts";
import type { SelectedEntry } from "./selection.ts";
import { latin1, utf8 } from "./source-tree.ts";

export interface LandingOptions {
  readonly place: Workplace;
  /** Absolute; ends in "/" when it must be a folder. */
  readonly destination: string;
  /** Of folders that are made; root's when missing. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Do not look at what is below: links on the way become folders. */
  readonly link: boolean;
  /** Nanoseconds since the epoch: of folders that are made. */
  readonly now: bigint;
  /** Later times become this one. */
  readonly latest: bigint | undefined;
}

/**
 * Where things end up: the destination in the tree as it is below, the folders that must be made on the way, and what is in the way.
 * Paths are relative to the image's root, without links, latin1.
 */
export class Landing {
  readonly #task: LandingOptions;
  readonly #builder: LayerBuilder;
  readonly #below: Below;
  readonly #destination: string;
  /** Folders that the layer has by now. */
  readonly #made = new Set<string>([""]);
  /** Folders that are not there below, so that nothing in them is. */
  readonly #fresh = new Set<string>();
  /** Links that archives brought, and where they lead. */
  readonly #links = new Map<string, string>();

  constructor(task: LandingOptions, builder: LayerBuilder) {
    this.#task = task;
    this.#builder = builder;
    this.#below = new Below(task.link ? [] : task.place.below);
    this.#destination = latin1(this.#below.resolve(clean(task.destination)));
  }

  /** "invalid" when several files would become one. */
  check(entries: readonly SelectedEntry[]): void {
    const named = entries.filter((entry) => entry.named).length;
    if (named > 1 && !this.#task.destination.endsWith("/"))
      throw new EngineError(
        "invalid",
        "When using COPY with more than one source file, the destination must be a directory and end with a /",
      );
  }

  /** The destination as a folder, whatever is put there. */
  makeDestination(): void {
    this.#make(this.#destination);
  }

  /** The place of a file of this name: in the destination when that is, or must be, a folder; else the destination itself. */
  fileAt(name: string, several: boolean): string {
    const wantsFolder = this.#task.destination.endsWith("/") || several || this.#isFolder(this.#destination);
    if (wantsFolder) return this.childAt(name);
    this.#makeParents(this.#destination);
    return this.#free(this.#destination);
  }

  /** The place of what is no folder, below the destination. */
  childAt(path: string): string {
    const to = joined(this.#destination, path);
    this.#makeParents(to);
    return this.#free(to);
  }

  /** The place of a folder; undefined when there is nothing to be done. `root`: the destination itself, which stays as it is. */
  folderAt(path: string, root: boolean): string | undefined {
    const to = joined(this.#destination, path).replace(/\/$/, "");
    if (to === "") return undefined;
    this.#makeParents(to);
    const { found, stats } = this.#look(to);
    if (found && stats?.isDirectory() !== true) throw notFolder(to);
    if (root && (this.#made.has(to) || found)) {
      this.#make(to);
      return undefined;
    }
    this.#made.add(to);
    if (!found) this.#fresh.add(to);
    return to;
  }

  /** The place of an archive's entry that is no folder. Links on the way are followed, those of the archive itself too. */
  archived(path: string): string {
    const to = this.placeOf(path);
    this.#makeParents(to);
    this.#links.delete(to);
    return this.#free(to);
  }

  /** The same for a folder; undefined for the destination itself. One that meets a link to a folder is that folder. */
  archivedFolder(path: string): string | undefined {
    if (path === "") {
      this.#make(this.#destination);
      return undefined;
    }
    const at = this.placeOf(path);
    const to = this.#follow(at);
    this.#makeParents(to);
    const { found, stats } = this.#look(to);
    if (found && stats?.isDirectory() !== true) throw notFolder(to);
    this.#made.add(to);
    if (!found) this.#fresh.add(to);
    return to;
  }

  noteLink(path: string, target: string): void {
    this.#links.set(path, latin1(target));
  }

  /** Where an archive's path leads to, its last part not followed. */
  placeOf(path: string): string {
    const whole = joined(this.#destination, path);
    const cut = whole.lastIndexOf("/");
    return cut < 0 ? whole : joined(this.#follow(whole.slice(0, cut)), whole.slice(cut + 1));
  }

  #follow(path: string): string {
    let current = "";
    const rest = path.split("/").reverse();
    for (let part = rest.pop(), links = 0; part !== undefined; part = rest.pop()) {
      if (part === "" || part === ".") continue;
      if (part === "..") {
        current = current.slice(0, Math.max(0, current.lastIndexOf("/")));
        continue;
      }
      const next = joined(current, part);
      const target = this.#made.has(next) ? undefined : (this.#links.get(next) ?? this.#linkBelow(next));
      if (target === undefined) current = next;
      else {
        if (++links > 40) throw new EngineError("invalid", `too many symbolic links at /${utf8(path)}`);
        if (target.startsWith("/")) current = "";
        rest.push(...target.split("/").reverse());
      }
    }
    return current;
  }

  #linkBelow(path: string): string | undefined {
    const { full, stats } = this.#look(path);
    return full !== undefined && stats?.isSymbolicLink() === true
      ? readlinkSync(full, { encoding: "latin1" })
      : undefined;
  }

  #makeParents(path: string): void {
    const cut = path.lastIndexOf("/");
    if (cut > 0) this.#make(path.slice(0, cut));
  }

  /** An entry for a folder that none was given for: as it is below, or a new one. */
  #make(path: string): void {
    if (path === "" || this.#made.has(path)) return;
    this.#makeParents(path);
    const { found, full, stats } = this.#look(path);
    if (found && stats?.isDirectory() !== true) throw notFolder(path);
    this.#made.add(path);
    if (!found) this.#fresh.add(path);
    this.#builder.entry(found && full !== undefined ? this.#asBelow(path, full) : this.#new(path));
    this.#builder.end();
  }

  #asBelow(path: string, full: string): TarHeader {
    const stats = lstatSync(full, { bigint: true });
    const { latest } = this.#task;
    return {
      ...this.#new(path),
      mode: Number(stats.mode & 0o7777n),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      mtime: latest !== undefined && stats.mtimeNs > latest ? latest : stats.mtimeNs,
      xattrs: xattrsOf(Buffer.from(full)),
    };
  }

  #new(path: string): TarHeader {
    const { owner, now, latest } = this.#task;
    return {
      type: "directory",
      path: utf8(path),
      rawPath: latin1(utf8(path)) === path ? undefined : Buffer.from(path, "latin1"),
      linkPath: "",
      rawLinkPath: undefined,
      mode: 0o755,
      uid: owner?.uid ?? 0,
      gid: owner?.gid ?? 0,
      userName: "",
      groupName: "",
      size: 0,
      mtime: latest ?? now,
      atime: undefined,
      major: 0,
      minor: 0,
      xattrs: new Map(),
      sparse: undefined,
    };
  }

  /** Nothing of this path may be a folder below. */
  #free(path: string): string {
    if (this.#isFolder(path) || this.#made.has(path))
      throw new EngineError("invalid", `cannot replace the directory /${utf8(path)} by a file`);
    return path;
  }

  #isFolder(path: string): boolean {
    return path === "" || this.#look(path).stats?.isDirectory() === true;
  }

  #look(path: string) {
    if (path === "") return { found: true, full: undefined, stats: undefined } as const;
    const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    const found = this.#fresh.has(parent) ? undefined : this.#below.find(utf8(path));
    return { found: found !== undefined, full: found?.full, stats: found?.stats } as const;
  }
}

function notFolder(path: string): EngineError {
  return new EngineError("invalid", `cannot copy to non-directory: /${utf8(path)}`);
}
