/** Runs collections: when asked, by the clock, one at a time. */
import { errorMessage } from "../../base/errors.ts";
import { KeyedLock } from "../../base/locks.ts";
import type { Logger } from "../../base/log.ts";
import type { CollectionConfig } from "../config/config.ts";
import { RegistryError } from "../errors.ts";
import type { Storage } from "../storage/open.ts";
import { type Collected, collect } from "./collect.ts";
import type { RetentionRule } from "./retention.ts";

const DAY = 24 * 3600_000;
/** Milliseconds after the start: clients first. */
const FIRST = 10_000;
/** What a timer can wait. */
const LONGEST = 2 ** 31 - 1;

export interface CollectorParts {
  readonly storage: Storage;
  readonly config: CollectionConfig | undefined;
  readonly retention: readonly RetentionRule[] | undefined;
  readonly logger: Logger;
  /** Of each collection that took something away, or could have. */
  readonly told: (collected: Collected) => void;
}

export class Collector {
  readonly #parts: CollectorParts;
  readonly #lock = new KeyedLock();
  #timer: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();

  constructor(parts: CollectorParts) {
    this.#parts = parts;
    const every = parts.config?.every ?? 0;
    if (every > 0 && parts.storage.writable) this.#plan(Math.min(FIRST, every), every);
  }

  async collect(
    wish: { readonly grace?: number | undefined; readonly dryRun?: boolean | undefined } = {},
  ): Promise<Collected> {
    const { storage, config = {}, retention = [], logger } = this.#parts;
    if (!storage.writable) throw new RegistryError("UNSUPPORTED", "this registry is read-only");
    const { grace = config.grace ?? DAY, dryRun } = wish;
    const { uploadsExpire = DAY } = config;
    return await this.#lock.run("collect", async () => {
      const collected = await collect(
        storage,
        { retention, grace, uploadsExpire, dryRun, signal: this.#closing.signal },
        logger,
      );
      if (dryRun !== true) this.#parts.told(collected);
      return collected;
    });
  }

  /** Ends the one that runs. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await this.#lock.run("collect", async () => {});
  }

  #plan(delay: number, every: number): void {
    this.#timer = setTimeout(() => void this.#tick(every), Math.min(delay, LONGEST));
    this.#timer.unref();
  }

  async #tick(every: number): Promise<void> {
    try {
      await this.collect();
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#parts.logger.log("error", "collecting failed", { error: errorMessage(error) });
    }
    if (!this.#closing.signal.aborted) this.#plan(every, every);
  }
}
