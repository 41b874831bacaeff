import { statfs } from "node:fs/promises";
import type { BuildCache } from "../../api/types/image.ts";
import type { Digest } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import type { PruneOptions } from "../builder.ts";
import type { Contexts } from "../context/contexts.ts";
import type { Toolkit } from "../toolkit.ts";
import { keepBytes } from "./keep-bytes.ts";
import { type CacheRecord, recordFilter, shown } from "./records.ts";
import { madeOf, type StepRow } from "./steps.ts";

export interface KeeperParts {
  readonly tools: Toolkit;
  readonly contexts: Pick<Contexts, "records" | "remove"> | undefined;
  /** The trees that failed steps left. */
  readonly failed: {
    records(): readonly {
      readonly id: string;
      readonly size: number;
      readonly createdAt: number;
      readonly busy: boolean;
    }[];
    drop(id: string): Promise<boolean>;
  };
}

/** Keeps the cache below its bound, and shows what it is. */
export class CacheKeeper {
  readonly #parts: KeeperParts;
  #enforcing: Promise<void> | undefined;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  usage(): BuildCache[] {
    return this.#records().map(shown);
  }

  async prune({ all, filters = {}, ...limits }: PruneOptions): Promise<{ deleted: string[]; reclaimed: number }> {
    const wanted = recordFilter(filters);
    const chosen = this.#records().filter((record) => (all || !record.Shared) && wanted(record));
    const { tmp } = this.#parts.tools.store.paths;
    const { bavail, bsize } = await statfs(tmp);
    return this.#removeUntil(chosen, keepBytes(limits, { used: sum(this.#records()), free: bavail * bsize }));
  }

  /** Post-condition: what only the builder keeps is no more than the bound, unless it is all in use. */
  enforce(): Promise<void> {
    this.#enforcing ??= this.#enforce().finally(() => {
      this.#enforcing = undefined;
    });
    return this.#enforcing;
  }

  async #enforce(): Promise<void> {
    const { settings, logger } = this.#parts.tools;
    try {
      await this.#removeUntil(
        this.#records().filter(({ own }) => own > 0),
        settings.buildCacheLimit,
      );
    } catch (error) {
      logger.log("warn", "the build cache could not be made smaller", { error: errorMessage(error) });
    }
  }

  /** Removes the least recently used first, until what is left of all that the builder keeps fits. */
  async #removeUntil(records: readonly CacheRecord[], limit: number | undefined) {
    let total = limit === undefined ? Number.POSITIVE_INFINITY : sum(this.#records());
    const deleted: string[] = [];
    let reclaimed = 0;
    for (const record of records) {
      if (limit !== undefined && total <= limit) break;
      if (record.InUse || !(await record.remove())) continue;
      deleted.push(record.ID);
      reclaimed += record.own;
      total -= record.own;
    }
    return { deleted, reclaimed };
  }

  /** The least recently used first; of one build's steps the last first. */
  #records(): CacheRecord[] {
    const records = [...this.#failedSteps(), ...this.#steps(), ...this.#mounts(), ...this.#contexts()];
    return records
      .map((record, at) => ({ record, at }))
      .sort((a, b) => a.record.usedAt - b.record.usedAt || a.at - b.at)
      .map(({ record }) => record);
  }

  #steps(): CacheRecord[] {
    const { steps, images } = this.#parts.tools;
    const rows = steps.rows();
    const makers = new Map(rows.map((row) => [row.chain_id, shortKey(row.key)]));
    return rows.map((row) => {
      const { layer, chainId } = madeOf(row);
      const Shared = chainId !== undefined && layer !== undefined && images.needsLayer(chainId);
      const Size = layer === undefined ? 0 : row.size + layer.blob.size;
      const parent = row.parent === null ? undefined : makers.get(row.parent);
      return {
        ID: shortKey(row.key),
        Parents: parent === undefined || parent === shortKey(row.key) ? [] : [parent],
        Type: "regular",
        Description: row.description,
        InUse: this.#isPinned(row),
        Shared,
        Size,
        own: Shared ? 0 : Size,
        CreatedAt: row.created_at,
        LastUsedAt: new Date(row.used_at).toISOString(),
        usedAt: row.used_at,
        UsageCount: row.uses,
        remove: () => this.#removeStep(row),
      };
    });
  }

  #isPinned({ chain_id, blob }: StepRow): boolean {
    return blob !== null && chain_id !== null && this.#parts.tools.steps.isPinned(chain_id);
  }

  /** The row, those that lie on what it gave (nothing would find them any more), and what nobody else needs of them. */
  async #removeStep(row: StepRow): Promise<boolean> {
    const { steps, images } = this.#parts.tools;
    if (this.#isPinned(row) || steps.row(row.key) === undefined) return false;
    await images.lease(async (lease) => {
      const gone = [row, ...(row.diff_id === null ? [] : steps.above(row.chain_id))];
      await lease.hold(gone.flatMap(digestsOf));
      for (const { key } of gone) steps.delete(key);
    });
    return true;
  }

  #mounts(): CacheRecord[] {
    const { mounts } = this.#parts.tools;
    return mounts.rows().map((row) => ({
      ID: shortKey(row.id),
      Parents: [],
      Type: "exec.cachemount",
      Description: row.description,
      InUse: mounts.isUsed(row.id),
      Shared: false,
      Size: row.size,
      own: row.size,
      CreatedAt: row.created_at,
      LastUsedAt: new Date(row.used_at).toISOString(),
      usedAt: row.used_at,
      UsageCount: row.uses,
      remove: async () => {
        if (mounts.isUsed(row.id)) return false;
        await mounts.remove(row);
        return true;
      },
    }));
  }

  #contexts(): CacheRecord[] {
    const { contexts } = this.#parts;
    return (contexts?.records() ?? []).map(({ id, description, size, createdAt, lastUsedAt, usageCount, inUse }) => ({
      ID: id,
      Parents: [],
      Type: "source.local",
      Description: description,
      InUse: inUse,
      Shared: false,
      Size: size,
      own: size,
      CreatedAt: new Date(createdAt).toISOString(),
      LastUsedAt: new Date(lastUsedAt).toISOString(),
      usedAt: lastUsedAt,
      UsageCount: usageCount,
      remove: async () => (await contexts?.remove(id)) ?? false,
    }));
  }

  #failedSteps(): CacheRecord[] {
    const { failed } = this.#parts;
    return failed.records().map(({ id, size, createdAt, busy }) => ({
      ID: id.slice(0, 25),
      Parents: [],
      Type: "regular",
      Description: "what a failed step left",
      InUse: busy,
      Shared: false,
      Size: size,
      own: size,
      CreatedAt: new Date(createdAt).toISOString(),
      LastUsedAt: new Date(createdAt).toISOString(),
      usedAt: createdAt,
      UsageCount: 1,
      remove: () => failed.drop(id),
    }));
  }
}

/** As long as BuildKit's ids. */
function shortKey(key: Digest): string {
  return key.replace("sha256:", "").slice(0, 25);
}

function digestsOf(row: StepRow): Digest[] {
  const { layer, chainId } = madeOf(row);
  return layer === undefined || chainId === undefined ? [] : [layer.blob.digest, chainId];
}

function sum(records: readonly CacheRecord[]): number {
  return records.reduce((total, { own }) => total + own, 0);
}
