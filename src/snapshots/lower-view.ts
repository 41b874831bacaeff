import { type BigIntStats, lstatSync, readdirSync } from "node:fs";
import { isOpaque } from "./attributes.ts";
import { isWhiteout } from "./lower.ts";

/** The tree below, as a comparison asks for it. Paths are "" or begin with a slash; one character for each byte (latin1). */
export interface LowerView {
  stat(path: string): BigIntStats | undefined;
  names(path: string): string[];
  /** Where the entry lies. */
  place(path: string): Buffer | undefined;
}

/** A tree that is mounted, or lies in one folder. */
export class MountedView implements LowerView {
  readonly #root: string;

  constructor(root: string) {
    this.#root = Buffer.from(root).toString("latin1");
  }

  stat(path: string): BigIntStats | undefined {
    return statOf(this.#root + path);
  }

  names(path: string): string[] {
    return namesIn(this.#root + path);
  }

  place(path: string): Buffer {
    return bytesOf(this.#root + path);
  }
}

/**
 * Layers that nobody has mounted, looked up one by one: slower for each entry than a mount, and quicker for a few, since mounting and
 * unmounting take milliseconds.
 */
export class StackView implements LowerView {
  readonly #folders: readonly string[];

  /** Topmost first. */
  constructor(folders: readonly string[]) {
    this.#folders = folders.map((folder) => Buffer.from(folder).toString("latin1"));
  }

  stat(path: string): BigIntStats | undefined {
    return this.#find(path)?.stats;
  }

  names(path: string): string[] {
    const names = new Set<string>();
    const gone = new Set<string>();
    for (const folder of this.#folders) {
      const found = findIn(folder, path);
      if (found === "hidden") break;
      if (found === "deeper") continue;
      if (!found.stats.isDirectory()) break;
      for (const name of namesIn(found.full)) {
        if (names.has(name) || gone.has(name)) continue;
        const stats = statOf(`${found.full}/${name}`);
        if (stats !== undefined) (isWhiteout(stats) ? gone : names).add(name);
      }
      if (found.opaque || (path !== "" && isOpaque(bytesOf(found.full)))) break;
    }
    return [...names].sort();
  }

  place(path: string): Buffer | undefined {
    const found = this.#find(path);
    return found === undefined ? undefined : bytesOf(found.full);
  }

  #find(path: string): Found | undefined {
    for (const folder of this.#folders) {
      const found = findIn(folder, path);
      if (found === "hidden") return undefined;
      if (found !== "deeper") return found;
    }
    return undefined;
  }
}

interface Found {
  readonly full: string;
  readonly stats: BigIntStats;
  /** A folder on the way hides what lies deeper. */
  readonly opaque: boolean;
}

function findIn(root: string, path: string): Found | "deeper" | "hidden" {
  let full = root;
  let opaque = false;
  const parts = path.split("/").slice(1);
  for (const [index, part] of parts.entries()) {
    full = `${full}/${part}`;
    const stats = statOf(full);
    if (stats === undefined) return opaque ? "hidden" : "deeper";
    if (isWhiteout(stats)) return "hidden";
    if (index === parts.length - 1) return { full, stats, opaque };
    if (!stats.isDirectory()) return "hidden";
    opaque ||= isOpaque(bytesOf(full));
  }
  return { full, stats: lstatSync(bytesOf(full), { bigint: true }), opaque };
}

export function namesIn(path: string): string[] {
  return readdirSync(bytesOf(path), { encoding: "latin1" }).sort();
}

export function statOf(path: string): BigIntStats | undefined {
  return lstatSync(bytesOf(path), { bigint: true, throwIfNoEntry: false });
}

export function bytesOf(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

/** Looking so few entries up in the layers is quicker than mounting these. */
const FEW = 40;

export function hasFewEntries(root: string): boolean {
  let left = FEW;
  const count = (folder: string): void => {
    for (const name of namesIn(folder)) {
      if (--left < 0) return;
      const path = `${folder}/${name}`;
      if (statOf(path)?.isDirectory() === true) count(path);
    }
  };
  count(Buffer.from(root).toString("latin1"));
  return left >= 0;
}
