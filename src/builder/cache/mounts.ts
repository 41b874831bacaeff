import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../base/digest.ts";
import { newId } from "../../base/ids.ts";
import { KeyedLock } from "../../base/locks.ts";
import { timestamp } from "../../base/time.ts";
import type { Store } from "../../store/store.ts";
import { treeUsage } from "./tree-usage.ts";

export interface CacheMountRow {
  readonly id: string;
  readonly folder: string;
  readonly description: string;
  readonly size: number;
  readonly created_at: string;
  readonly used_at: number;
  readonly uses: number;
}

export interface CacheMountWish {
  /** What steps share it by. */
  readonly id: string;
  readonly sharing: "shared" | "private" | "locked";
  readonly description: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Fills a new one. */
  readonly fill?: ((folder: string) => Promise<void>) | undefined;
  readonly signal: AbortSignal;
}

export interface HeldMount {
  readonly path: string;
  release(): Promise<void>;
}

/** Folders that RUN steps keep between builds. What no row names is removed at the next start: the row comes last and goes first. */
export class CacheMounts {
  readonly #store: Store;
  /** Users now, by row. */
  readonly #users = new Map<string, number>();
  readonly #locks = new Map<string, Promise<void>>();
  readonly #making = new KeyedLock();

  constructor(store: Store) {
    this.#store = store;
    mkdirSync(store.paths.cacheMounts, { recursive: true, mode: 0o711 });
    const known = new Set(this.rows().map(({ folder }) => folder));
    for (const name of readdirSync(store.paths.cacheMounts))
      if (!known.has(name)) rmSync(join(store.paths.cacheMounts, name), { recursive: true, force: true });
  }

  /** Waits for its turn, with "locked"; takes one that nobody uses, with "private". */
  async hold(wish: CacheMountWish): Promise<HeldMount> {
    if (wish.sharing === "shared") return this.#take(digestOf(`shared ${wish.id}`), wish, async () => {});
    if (wish.sharing === "locked") {
      const id = digestOf(`shared ${wish.id}`);
      const unlock = await this.#lock(id, wish.signal);
      return this.#take(id, wish, unlock);
    }
    for (let number = 0; ; number++) {
      const id = digestOf(`private ${number} ${wish.id}`);
      if (!this.#users.has(id)) return this.#take(id, wish, async () => {});
    }
  }

  rows(): CacheMountRow[] {
    return this.#store.all<CacheMountRow>("SELECT * FROM build_mounts ORDER BY used_at");
  }

  isUsed(id: string): boolean {
    return this.#users.has(id);
  }

  /** Must not be in use. */
  async remove(row: CacheMountRow): Promise<void> {
    const folder = this.#store.paths.cacheMount(row.folder);
    this.#store.run("DELETE FROM build_mounts WHERE id = ?", row.id);
    await rm(folder, { recursive: true, force: true });
  }

  async #take(id: string, wish: CacheMountWish, unlock: () => Promise<void>): Promise<HeldMount> {
    this.#users.set(id, (this.#users.get(id) ?? 0) + 1);
    const leave = async () => {
      const left = (this.#users.get(id) ?? 1) - 1;
      if (left > 0) this.#users.set(id, left);
      else this.#users.delete(id);
      await unlock();
    };
    try {
      const folder = await this.#making.run(id, () => {
        const row = this.#store.get<CacheMountRow>("SELECT * FROM build_mounts WHERE id = ?", id);
        return row?.folder ?? this.#make(id, wish);
      });
      const path = this.#store.paths.cacheMount(folder);
      const release = async () => {
        const size = await treeUsage(path);
        const sql = "UPDATE build_mounts SET size = ?, used_at = ?, uses = uses + 1 WHERE id = ?";
        this.#store.run(sql, size, Date.now(), id);
        await leave();
      };
      return { path, release };
    } catch (error) {
      await leave();
      throw error;
    }
  }

  async #make(id: string, { description, mode, uid, gid, fill }: CacheMountWish): Promise<string> {
    const folder = newId().slice(0, 24);
    const path = this.#store.paths.cacheMount(folder);
    mkdirSync(path);
    try {
      await fill?.(path);
      chownSync(path, uid, gid);
      chmodSync(path, mode);
      this.#store.run(
        "INSERT INTO build_mounts (id, folder, description, size, created_at, used_at, uses) VALUES (?, ?, ?, 0, ?, ?, 0)",
        ...[id, folder, description, timestamp(), Date.now()],
      );
    } catch (error) {
      rmSync(path, { recursive: true, force: true });
      throw error;
    }
    return folder;
  }

  async #lock(id: string, signal: AbortSignal): Promise<() => Promise<void>> {
    for (;;) {
      signal.throwIfAborted();
      const busy = this.#locks.get(id);
      if (busy === undefined) break;
      await Promise.race([busy, aborted(signal)]);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#locks.set(id, promise);
    return async () => {
      this.#locks.delete(id);
      resolve();
    };
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
