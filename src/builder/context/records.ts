import type { Store } from "../../store/store.ts";
import type { ContextRecord } from "./contexts.ts";

export interface StoredContext extends Omit<ContextRecord, "inUse"> {
  readonly name: string;
}

interface ContextRow {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly size: number;
  readonly created_at: number;
  readonly last_used_at: number;
  readonly usage_count: number;
}

const recordOf = (row: ContextRow): StoredContext => ({
  id: row.id,
  name: row.name,
  description: row.description,
  size: row.size,
  createdAt: row.created_at,
  lastUsedAt: row.last_used_at,
  usageCount: row.usage_count,
});

/** The rows of kept contexts. */
export class ContextRows {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  all(): StoredContext[] {
    return this.#store.all<ContextRow>("SELECT * FROM build_contexts ORDER BY last_used_at DESC").map(recordOf);
  }

  /** The one that was used last comes first. */
  named(name: string): StoredContext[] {
    return this.all().filter((record) => record.name === name);
  }

  begin(id: string, name: string, description: string): void {
    const now = Date.now();
    this.#store.run(
      `INSERT INTO build_contexts (id, name, description, size, created_at, last_used_at, usage_count, state)
       VALUES (?, ?, ?, 0, ?, ?, 0, 'updating') ON CONFLICT (id) DO UPDATE SET state = 'updating'`,
      id,
      name,
      description,
      now,
      now,
    );
  }

  ready(id: string, size: number): void {
    this.#store.run("UPDATE build_contexts SET state = 'ready', size = ? WHERE id = ?", size, id);
  }

  used(id: string): void {
    this.#store.run(
      "UPDATE build_contexts SET last_used_at = ?, usage_count = usage_count + 1 WHERE id = ?",
      Date.now(),
      id,
    );
  }

  remove(id: string): void {
    this.#store.run("DELETE FROM build_contexts WHERE id = ?", id);
  }

  removeUnfinished(): void {
    this.#store.run("DELETE FROM build_contexts WHERE state <> 'ready'");
  }
}
