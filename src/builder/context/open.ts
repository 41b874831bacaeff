import { mkdirSync, readdirSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Digest } from "../../base/digest.ts";
import { newId, shortId } from "../../base/ids.ts";
import { spreadFolders } from "../../kernel/nodes.ts";
import type { Store } from "../../store/store.ts";
import { serveAgent } from "./agent-socket.ts";
import type { ContextRecord, Contexts, FetchOptions, OwnedContext, SyncRequest } from "./contexts.ts";
import { type Fetched, fetchRemote } from "./fetch-remote.ts";
import { receiveTar } from "./receive-tar.ts";
import { ContextRows } from "./records.ts";
import { planSync } from "./sync-folder.ts";

/** Post-condition: folders without a row, and those whose sync was under way, are on their way to removal. */
export function openContexts({ store }: { readonly store: Store }): Contexts {
  return new LocalContexts(store);
}

class LocalContexts implements Contexts {
  readonly #store: Store;
  readonly #rows: ContextRows;
  readonly #inUse = new Set<string>();

  constructor(store: Store) {
    this.#store = store;
    this.#rows = new ContextRows(store);
    this.#rows.removeUnfinished();
    const { contexts } = store.paths;
    mkdirSync(contexts, { recursive: true, mode: 0o700 });
    spreadFolders(contexts);
    // Those received lie there, and go with their builds.
    spreadFolders(store.paths.tmp);
    const known = new Set(this.#rows.all().map(({ id }) => id));
    for (const id of readdirSync(contexts)) if (!known.has(id)) void this.#discard(store.paths.context(id));
  }

  receive(body: Readable, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<OwnedContext> {
    return this.#temporary(async (root) => {
      await receiveTar(body, root, signal);
      return { root };
    });
  }

  async fetch(remote: string, { agent, ...options }: FetchOptions = {}): Promise<OwnedContext> {
    const socket = this.#store.paths.temporary("agent", shortId(newId()));
    await using serving = agent === undefined ? undefined : await serveAgent(socket, agent);
    return await this.#temporary((root) => fetchRemote(remote, root, { ...options, sshAgent: serving?.socket }));
  }

  async sync(request: SyncRequest): Promise<OwnedContext> {
    const id = this.#take(request.name);
    try {
      const version = await this.#update(id, request);
      this.#rows.used(id);
      const tree = { root: join(this.#store.paths.context(id), "tree"), cacheName: id, version };
      return { tree, [Symbol.asyncDispose]: () => this.#giveBack(id, request.name) };
    } catch (error) {
      this.#inUse.delete(id);
      await this.remove(id);
      throw error;
    }
  }

  records(): ContextRecord[] {
    return this.#rows.all().map(({ name: _, ...record }) => ({ ...record, inUse: this.#inUse.has(record.id) }));
  }

  async remove(id: string): Promise<boolean> {
    if (this.#inUse.has(id)) return false;
    this.#rows.remove(id);
    await this.#discard(this.#store.paths.context(id));
    return true;
  }

  /** One that nobody uses, or a new one. */
  #take(name: string): string {
    const free = this.#rows.named(name).find(({ id }) => !this.#inUse.has(id));
    const id = free?.id ?? newId();
    this.#inUse.add(id);
    return id;
  }

  /** Returns what the folder is known by now. */
  async #update(id: string, { name, description, lines, ...request }: SyncRequest): Promise<Digest> {
    const folder = this.#store.paths.context(id);
    const kept = { tree: join(folder, "tree"), list: join(folder, "list") };
    const plan = await planSync(kept, lines);
    if (plan.same) return plan.version;
    this.#rows.begin(id, name, description);
    mkdirSync(kept.tree, { recursive: true, mode: 0o755 });
    await plan.run(request);
    this.#rows.ready(id, plan.size);
    return plan.version;
  }

  /** Of several that builds at the same time needed, one stays. */
  async #giveBack(id: string, name: string): Promise<void> {
    if (!this.#inUse.delete(id)) return;
    const others = this.#rows.named(name).filter((record) => record.id !== id && !this.#inUse.has(record.id));
    for (const other of others) await this.remove(other.id);
  }

  async #temporary(fill: (root: string) => Promise<Fetched>): Promise<OwnedContext> {
    const root = this.#store.paths.temporary("context", newId());
    mkdirSync(root, { mode: 0o755 });
    const dispose = () => rm(root, { recursive: true, force: true });
    try {
      const fetched = await fill(root);
      return { tree: { root: fetched.root }, dockerfile: fetched.dockerfile, [Symbol.asyncDispose]: dispose };
    } catch (error) {
      await dispose();
      throw error;
    }
  }

  /** Out of the way at once, so that its name is free; then removed. */
  async #discard(folder: string): Promise<void> {
    const aside = this.#store.paths.temporary("gone", newId());
    await rename(folder, aside).catch(() => {});
    await rm(aside, { recursive: true, force: true });
  }
}
