import type { Digest } from "../../base/digest.ts";
import type { Descriptor } from "../../oci/types.ts";
import type { Store } from "../../store/store.ts";
import type { StepStore } from "../graph/graph.ts";
import type { Made } from "../tree.ts";

export interface StepRow {
  readonly key: Digest;
  readonly description: string;
  readonly parent: string | null;
  readonly chain_id: string | null;
  readonly diff_id: string | null;
  /** A descriptor, JSON. */
  readonly blob: string | null;
  readonly note: string;
  readonly size: number;
  readonly created_at: string;
  readonly used_at: number;
  readonly uses: number;
}

/** What steps gave, in the database. A row keeps its layer and its blob from being collected (`keeps`). */
export class StepCache implements StepStore<Made> {
  readonly #store: Store;
  /** Digests that rows name, and how many rows do. */
  readonly #kept = new Map<Digest, number>();
  /** Rows that builds under way rely on. */
  readonly #pinned = new Map<Digest, number>();
  /** Uses that the database does not know yet: written together, when a build ends. */
  readonly #used = new Map<Digest, number>();

  readonly #isWhole: (made: Made) => boolean;

  /** `isWhole`: whether what a row names is still there. */
  constructor(store: Store, isWhole: (made: Made) => boolean) {
    this.#store = store;
    this.#isWhole = isWhole;
    for (const row of store.all<StepRow>("SELECT * FROM build_steps")) this.#keep(row, 1);
  }

  get(key: Digest): Made | undefined {
    const row = this.row(key);
    if (row === undefined) return undefined;
    if (!this.#isWhole(madeOf(row))) {
      this.delete(key);
      return undefined;
    }
    this.#used.set(key, (this.#used.get(key) ?? 0) + 1);
    return madeOf(row);
  }

  /** Of a step that ran here: the row keeps its layer from now on, in place of the pin. */
  put(key: Digest, made: Made, description: string): void {
    this.add(key, made, description);
    if (made.layer !== undefined && made.chainId !== undefined) this.unpin([made.chainId, made.layer.blob.digest]);
  }

  add(key: Digest, made: Made, description: string): void {
    const before = this.row(key);
    const { layer, createdAt, parent, chainId, size, note = "" } = made;
    const row: StepRow = {
      key,
      description,
      parent: parent ?? null,
      chain_id: chainId ?? null,
      diff_id: layer?.diffId ?? null,
      blob: layer === undefined ? null : JSON.stringify(layer.blob),
      note,
      size,
      created_at: createdAt,
      used_at: Date.now(),
      uses: 1,
    };
    this.#store.run(
      `INSERT OR REPLACE INTO build_steps (key, description, parent, chain_id, diff_id, blob, note, size, created_at, used_at, uses)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[row.key, row.description, row.parent, row.chain_id, row.diff_id, row.blob, row.note],
      ...[row.size, row.created_at, row.used_at, row.uses],
    );
    this.#keep(row, 1);
    if (before !== undefined) this.#keep(before, -1);
    this.#used.set(key, this.#used.get(key) ?? 0);
  }

  row(key: Digest): StepRow | undefined {
    return this.#store.get<StepRow>("SELECT * FROM build_steps WHERE key = ?", key);
  }

  /** The least recently used first; of one build the last step first. */
  rows(): StepRow[] {
    this.flush();
    return this.#store.all<StepRow>("SELECT * FROM build_steps ORDER BY used_at, rowid DESC");
  }

  /** Rows of steps that lie on this tree, directly or not. */
  above(chainId: string | null): StepRow[] {
    const direct =
      chainId === null ? [] : this.#store.all<StepRow>("SELECT * FROM build_steps WHERE parent = ?", chainId);
    return direct.flatMap((row) => [row, ...(row.chain_id === chainId ? [] : this.above(row.chain_id))]);
  }

  delete(key: Digest): void {
    const row = this.row(key);
    if (row === undefined) return;
    this.#store.run("DELETE FROM build_steps WHERE key = ?", key);
    this.#used.delete(key);
    this.#keep(row, -1);
  }

  /** Whether a row needs this blob (by digest) or layer (by chain id). */
  keeps(digest: Digest): boolean {
    return this.#kept.has(digest);
  }

  /** While a build relies on it; pair with `unpin`. */
  pin(digests: Iterable<Digest>): void {
    for (const digest of digests) count(this.#pinned, digest, 1);
  }

  unpin(digests: Iterable<Digest>): void {
    for (const digest of digests) count(this.#pinned, digest, -1);
  }

  isPinned(digest: Digest): boolean {
    return this.#pinned.has(digest);
  }

  /** Writes the uses since the last time, all with one moment: of the steps of a build the later ones go first. */
  flush(): void {
    if (this.#used.size === 0) return;
    this.#store.transaction(() => {
      const now = Date.now();
      for (const [key, times] of this.#used)
        this.#store.run("UPDATE build_steps SET used_at = ?, uses = uses + ? WHERE key = ?", now, times, key);
    });
    this.#used.clear();
  }

  #keep({ chain_id, blob }: StepRow, by: 1 | -1): void {
    if (chain_id !== null) count(this.#kept, chain_id, by);
    if (blob !== null) count(this.#kept, (JSON.parse(blob) as Descriptor).digest, by);
  }
}

export function madeOf(row: StepRow): Made {
  const blob = row.blob === null ? undefined : (JSON.parse(row.blob) as Descriptor);
  return Object.freeze({
    createdAt: row.created_at,
    size: row.size,
    note: row.note,
    parent: row.parent ?? undefined,
    chainId: row.chain_id ?? undefined,
    ...(blob !== undefined && row.diff_id !== null && { layer: { diffId: row.diff_id, blob } }),
  });
}

function count(counts: Map<Digest, number>, digest: Digest, by: number): void {
  const next = (counts.get(digest) ?? 0) + by;
  if (next > 0) counts.set(digest, next);
  else counts.delete(digest);
}
