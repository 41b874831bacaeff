import type { BigIntStats } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { getXattr } from "../kernel/xattrs.ts";
import { isOpaque } from "./attributes.ts";
import { isMountPointPath } from "./init-tree.ts";
import { isWhiteout } from "./lower.ts";
import { bytesOf, type LowerView, MountedView, namesIn, statOf } from "./lower-view.ts";

export const MODIFIED = 0;
export const ADDED = 1;
export const DELETED = 2;

export interface TreeChange {
  /** Relative to the root, one character for each byte (latin1), because names need not be UTF-8. */
  readonly path: string;
  readonly kind: typeof MODIFIED | typeof ADDED | typeof DELETED;
}

export interface Comparison {
  /** The tree that was written to. */
  readonly upper: string;
  /** The tree below as a whole: where it is mounted, or looked up by itself; undefined for none. */
  readonly lower: string | LowerView | undefined;
  /** "overlay": `upper` has only what differs, with whiteouts; "copy": it has everything. */
  readonly kind: "overlay" | "copy";
}

/** Work between two turns of the event loop. Milliseconds. */
const SLICE = 4;

/**
 * What differs, sorted by path. As Docker's comparison: a folder counts as modified when its mode or owner changed or when
 * something in it did; a file when mode, owner, device, size, time or capability did; below a removed folder nothing is told.
 */
export async function compareTrees(comparison: Comparison): Promise<TreeChange[]> {
  const changes: TreeChange[] = [];
  await new Comparer(comparison, changes).folder("", comparison.lower !== undefined);
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

class Comparer {
  readonly #upper: string;
  readonly #lower: LowerView | undefined;
  readonly #kind: Comparison["kind"];
  readonly #changes: TreeChange[];
  #until = performance.now() + SLICE;

  constructor({ upper, lower, kind }: Comparison, changes: TreeChange[]) {
    this.#upper = Buffer.from(upper).toString("latin1");
    this.#lower = typeof lower === "string" ? new MountedView(lower) : lower;
    this.#kind = kind;
    this.#changes = changes;
  }

  /** `path` is "" or begins with a slash. */
  async folder(path: string, hasLower: boolean): Promise<void> {
    const names = namesIn(this.#upper + path);
    for (const name of names) {
      if (performance.now() > this.#until) {
        await nextTurn();
        this.#until = performance.now() + SLICE;
      }
      await this.#entry(`${path}/${name}`, hasLower);
    }
    const hidesLower = this.#kind === "copy" || (path !== "" && isOpaque(bytesOf(this.#upper + path)));
    if (!hidesLower || !hasLower) return;
    const here = new Set(names);
    for (const name of this.#lower?.names(path) ?? []) if (!here.has(name)) this.#tell(`${path}/${name}`, DELETED);
  }

  async #entry(path: string, hasLower: boolean): Promise<void> {
    const now = statOf(this.#upper + path);
    if (now === undefined) return;
    const before = hasLower ? this.#lower?.stat(path) : undefined;
    if (this.#kind === "overlay" && isWhiteout(now)) {
      if (before !== undefined) this.#tell(path, DELETED);
      return;
    }
    const told = this.#changes.length;
    if (now.isDirectory()) await this.folder(path, before?.isDirectory() === true);
    const inside = this.#changes.length > told;
    // Copied in with the tree, not made by the container.
    const given = this.#kind === "copy" && before === undefined && isMountPointPath(path.slice(1));
    if (before === undefined && !given) this.#tell(path, ADDED);
    else if (inside) this.#tell(path, MODIFIED);
    else if (before !== undefined && (differs(now, before) || this.#capabilityDiffers(path, now)))
      this.#tell(path, MODIFIED);
  }

  #capabilityDiffers(path: string, stats: BigIntStats): boolean {
    if (!stats.isFile()) return false;
    return capabilityOf(bytesOf(this.#upper + path)) !== capabilityOf(this.#lower?.place(path));
  }

  #tell(path: string, kind: TreeChange["kind"]): void {
    this.#changes.push({ path: path.slice(1), kind });
  }
}

function differs(now: BigIntStats, before: BigIntStats): boolean {
  if (now.mode !== before.mode || now.uid !== before.uid || now.gid !== before.gid || now.rdev !== before.rdev)
    return true;
  return !now.isDirectory() && (now.size !== before.size || now.mtimeNs !== before.mtimeNs);
}

function capabilityOf(path: Buffer | undefined): string | undefined {
  try {
    return path && getXattr(path, "security.capability")?.toString("latin1");
  } catch {
    return undefined;
  }
}
