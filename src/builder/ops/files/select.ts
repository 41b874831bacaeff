import type { BigIntStats } from "node:fs";
import { EngineError } from "../../../base/errors.ts";
import { type Matched, PatternList } from "../../dockerfile/ignore.ts";
import { compilePattern, hasWildcards } from "../../dockerfile/path-pattern.ts";
import type { Breath } from "./breath.ts";
import type { SelectedEntry, Selection } from "./selection.ts";
import { latin1, type SourceTree, utf8 } from "./source-tree.ts";

/** More than this is taken for a mistake, or an attack on the memory. */
const MAX_ENTRIES = 5_000_000;

/**
 * Everything that a selection takes, folders before what is in them, each destination once (the last source wins). "invalid", in the
 * classic builder's words, when a path or pattern finds nothing, or something that cannot be copied from there.
 */
export async function select(tree: SourceTree, selection: Selection, breath: Breath): Promise<SelectedEntry[]> {
  const selector = new Selector(tree, selection, breath);
  for (const pattern of selection.patterns) await selector.add(pattern);
  return selector.entries();
}

/** Where a walk is. */
interface Way {
  readonly path: string;
  readonly to: string;
  /** Within the folder that was named, which --exclude looks at. */
  readonly below: string;
}

/** What the lists of patterns say there. */
interface States {
  readonly ignored: Matched;
  readonly excluded: Matched;
}

class Selector {
  readonly #tree: SourceTree;
  readonly #selection: Selection;
  readonly #breath: Breath;
  readonly #ignore: PatternList;
  readonly #excludes: PatternList;
  readonly #found = new Map<string, SelectedEntry>();

  constructor(tree: SourceTree, selection: Selection, breath: Breath) {
    this.#tree = tree;
    this.#selection = selection;
    this.#breath = breath;
    this.#ignore = new PatternList(selection.source.ignore);
    this.#excludes = new PatternList(selection.excludes);
  }

  entries(): SelectedEntry[] {
    return [...this.#found.values()].sort((a, b) => (a.to < b.to ? -1 : a.to > b.to ? 1 : 0));
  }

  async add(pattern: string): Promise<void> {
    const [pivot, rest] = this.#cut(pattern);
    const isPattern = hasWildcards(rest);
    const matches = isPattern ? this.#matches(pivot, rest) : [clean(`${pivot}/${rest}`)];
    let taken = 0;
    for (const match of matches) if (await this.#take(match, pivot, isPattern)) taken++;
    if (taken === 0 && (isPattern || !this.#wasExcluded(matches[0] ?? ""))) throw this.#nothing(pattern, isPattern);
  }

  /** With --parents, what lies before "/./" is not kept. */
  #cut(pattern: string): [pivot: string, rest: string] {
    if (!this.#selection.parents) return ["", latin1(pattern)];
    const at = pattern.lastIndexOf("/./");
    return at < 0 ? ["", latin1(pattern)] : [latin1(pattern.slice(0, at)), latin1(pattern.slice(at + 3))];
  }

  #matches(pivot: string, pattern: string): string[] {
    let found = [clean(pivot)];
    for (const part of clean(pattern).split("/")) found = [...new Set(found.flatMap((at) => this.#step(at, part)))];
    return found;
  }

  #step(folder: string, part: string): string[] {
    const real = this.#tree.resolve(folder);
    if (real === undefined || this.#tree.stat(real)?.isDirectory() !== true) return [];
    if (part === "**" && this.#selection.parents) return this.#foldersBelow(folder);
    if (!hasWildcards(part)) return [joined(folder, part)];
    const pattern = compilePattern(utf8(part), { deep: false });
    const names = this.#tree.names(real).filter((name) => pattern.matches(utf8(name)));
    return names.map((name) => joined(folder, name));
  }

  #foldersBelow(folder: string): string[] {
    const below = this.#tree.names(folder).filter((name) => this.#tree.stat(joined(folder, name))?.isDirectory());
    return [folder, ...below.flatMap((name) => this.#foldersBelow(joined(folder, name)))];
  }

  /** False when it is not there, or left out. */
  async #take(path: string, pivot: string, isPattern: boolean): Promise<boolean> {
    const real = this.#tree.resolve(path);
    const stats = real === undefined ? undefined : this.#tree.stat(real);
    if (real === undefined || stats === undefined) return false;
    const kept = this.#selection.parents ? path.slice(clean(pivot).length).replace(/^\//, "") : "";
    if (kept !== "") this.#keepParents(path, kept);
    if (stats.isDirectory()) {
      const ignored = this.#stateOf(real);
      if (isPattern && this.#excludes.matches(utf8(baseOf(path)))) return false;
      if (ignored.matched && !this.#ignore.mayMissBelow(ignored, utf8(real))) return false;
      this.#note({ path: real, to: kept, stats, named: false });
      await this.#folder({ path: real, to: kept, below: "" }, { ignored, excluded: this.#excludes.root });
      return true;
    }
    if (this.#ignore.matches(utf8(real)) || this.#excludes.matches(utf8(baseOf(path)))) return false;
    this.#note({ path: real, to: kept === "" ? baseOf(path) : kept, stats, named: kept === "" });
    return true;
  }

  /** The folders between the pivot and what was named. */
  #keepParents(path: string, kept: string): void {
    for (let cut = kept.indexOf("/"); cut > 0; cut = kept.indexOf("/", cut + 1)) {
      const parent = this.#tree.resolve(path.slice(0, path.length - kept.length + cut));
      const stats = parent === undefined ? undefined : this.#tree.stat(parent);
      const to = kept.slice(0, cut);
      if (parent !== undefined && stats !== undefined && !this.#found.has(to))
        this.#note({ path: parent, to, stats, named: false });
    }
  }

  async #folder(folder: Way, states: States): Promise<void> {
    for (const name of this.#tree.names(folder.path)) {
      if (this.#breath.due) await this.#breath.take();
      const child = {
        path: joined(folder.path, name),
        to: joined(folder.to, name),
        below: joined(folder.below, name),
      };
      const stats = this.#tree.stat(child.path);
      if (stats !== undefined) await this.#child(child, stats, this.#enter(states, child));
    }
  }

  async #child(way: Way, stats: BigIntStats, states: States): Promise<void> {
    const leftOut = states.ignored.matched || states.excluded.matched;
    const entry = { path: way.path, to: way.to, stats, named: false };
    if (!leftOut) this.#note(entry);
    if (!stats.isDirectory() || (leftOut && !this.#mayMissBelow(states, way))) return;
    const before = this.#found.size;
    await this.#folder(way, states);
    // A folder that is left out itself comes along when something in it does.
    if (leftOut && this.#found.size > before) this.#note(entry);
  }

  #enter({ ignored, excluded }: States, { path, below }: Way): States {
    return {
      ignored: this.#ignore.isEmpty ? ignored : this.#ignore.enter(ignored, utf8(path)),
      excluded: this.#excludes.isEmpty ? excluded : this.#excludes.enter(excluded, utf8(below)),
    };
  }

  #mayMissBelow({ ignored, excluded }: States, { path, below }: Way): boolean {
    return this.#ignore.mayMissBelow(ignored, utf8(path)) && this.#excludes.mayMissBelow(excluded, utf8(below));
  }

  #stateOf(path: string): Matched {
    let state = this.#ignore.root;
    if (path === "" || this.#ignore.isEmpty) return state;
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1))
      state = this.#ignore.enter(state, utf8(path.slice(0, slash)));
    return this.#ignore.enter(state, utf8(path));
  }

  /** Named, there, and left out by --exclude: no error. */
  #wasExcluded(path: string): boolean {
    return this.#excludes.matches(utf8(baseOf(path))) && this.#tree.resolve(path) !== undefined;
  }

  #note(entry: SelectedEntry): void {
    const { foreign, name } = this.#selection.source;
    const kind = unfit(entry.stats, foreign);
    if (kind === "socket" && !foreign) return;
    if (kind !== undefined)
      throw new EngineError(
        "invalid",
        `cannot copy ${JSON.stringify(utf8(entry.path))} from ${name}: it is a ${kind}`,
        {
          hint: "leave it out by .dockerignore",
        },
      );
    // The last one wins, but a folder that meets a folder keeps its first place.
    if (!(entry.stats.isDirectory() && this.#found.get(entry.to)?.stats.isDirectory())) this.#found.delete(entry.to);
    this.#found.set(entry.to, entry);
    if (this.#found.size > MAX_ENTRIES)
      throw new EngineError("too-large", `more than ${MAX_ENTRIES} files are copied by one step`);
  }

  #nothing(pattern: string, isPattern: boolean): EngineError {
    const { foreign, name } = this.#selection.source;
    if (isPattern)
      return new EngineError("invalid", "no source files were specified", { hint: noMatch(pattern, name) });
    const where = foreign
      ? "file not found in build context or excluded by .dockerignore"
      : `file not found in ${name}`;
    return new EngineError("invalid", `${where}: stat ${pattern}: file does not exist`);
  }
}

function noMatch(pattern: string, name: string): string {
  return `nothing in ${name} matches ${JSON.stringify(pattern)}`;
}

/** What cannot be copied, by its name. */
function unfit(stats: BigIntStats, foreign: boolean): string | undefined {
  if (stats.isSocket()) return "socket";
  if (!foreign || stats.isFile() || stats.isDirectory() || stats.isSymbolicLink()) return undefined;
  return stats.isFIFO() ? "fifo" : "device";
}

/** Without empty parts, "." and "..", which stop at the root. */
export function clean(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

export function joined(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
