import { rmdirSync } from "node:fs";
import { errnoOf } from "../base/errors.ts";
import { KeyedLock } from "../base/locks.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Paths } from "../store/paths.ts";

/**
 * Containers' root file systems, each mounted once however many use it: the run, a copy, an export. Two mounts of one writable
 * overlay would spoil it.
 */
export class RootfsMounts {
  readonly #snapshots: Snapshots;
  readonly #paths: Paths;
  readonly #users = new Map<string, Set<unknown>>();
  readonly #locks = new KeyedLock();

  constructor(snapshots: Snapshots, paths: Paths) {
    this.#snapshots = snapshots;
    this.#paths = paths;
  }

  /**
   * Mounts it if nobody uses it yet. Pair with `release` of the same user, which is idempotent. `ephemeral`: nobody wants the tree
   * after the run.
   */
  async acquire(id: string, user: unknown, { ephemeral = false } = {}): Promise<string> {
    const target = this.#paths.rootfs(id);
    await this.#locks.run(id, async () => {
      const users = this.#users.get(id) ?? new Set();
      if (users.size === 0) await this.#snapshots.mount(id, target, { ephemeral });
      this.#users.set(id, users.add(user));
    });
    return target;
  }

  /** Of an earlier engine's run, still mounted. */
  adopt(id: string, user: unknown): void {
    this.#users.set(id, new Set([user]));
  }

  /** False for one that did not use it. */
  release(id: string, user: unknown): Promise<boolean> {
    return this.#locks.run(id, async () => {
      const users = this.#users.get(id);
      if (users === undefined || !users.delete(user)) return false;
      if (users.size > 0) return true;
      this.#users.delete(id);
      await this.#unmount(id);
      return true;
    });
  }

  /** Whatever an earlier engine left, unless it is in use. */
  async clear(id: string): Promise<void> {
    await this.#locks.run(id, async () => {
      if (!this.#users.has(id)) await this.#unmount(id);
    });
  }

  async use<T>(id: string, work: (root: string) => Promise<T>): Promise<T> {
    const user = Symbol(id);
    const root = await this.acquire(id, user);
    try {
      return await work(root);
    } finally {
      await this.release(id, user);
    }
  }

  async #unmount(id: string): Promise<void> {
    const target = this.#paths.rootfs(id);
    await this.#snapshots.unmount(target);
    try {
      rmdirSync(target);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }
}
