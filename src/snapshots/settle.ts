import type { Digest } from "../base/digest.ts";
import { errnoOf, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { syncFileSystem, treeUsage } from "../kernel/trees.ts";
import type { Paths } from "../store/paths.ts";
import type { Catalog } from "./catalog.ts";

/** After this long the kernel has written most of a new layer by itself, so that syncing costs little. Milliseconds. */
const SYNC_AFTER = 30_000;

/**
 * What is done for a layer after its row: its folder is measured, and later its file system synced. Until then a power cut may leave
 * files of it empty, although the row is there; so the row says in which boot of the machine it was written (`Catalog.distrusted`).
 */
export class Settler {
  readonly #catalog: Catalog;
  readonly #paths: Paths;
  readonly #logger: Logger;
  readonly #sync: (path: string) => Promise<void>;
  readonly #measuring = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: {
    readonly catalog: Catalog;
    readonly paths: Paths;
    readonly logger: Logger;
    readonly sync?: ((path: string) => Promise<void>) | undefined;
  }) {
    this.#catalog = parts.catalog;
    this.#paths = parts.paths;
    this.#logger = parts.logger;
    this.#sync = parts.sync ?? syncFileSystem;
    for (const { chainId, usage } of this.#catalog.layers()) if (usage === undefined) this.#measure(chainId);
    if (this.#catalog.unsynced().length > 0) this.#syncLater();
  }

  /** Called with each layer that has its row. */
  added(chainId: Digest): void {
    this.#measure(chainId);
    this.#syncLater();
  }

  /** Called when a layer got a tree of mount points, which comes and goes with it. */
  grew(chainId: Digest): void {
    this.#measure(chainId);
  }

  /** Resolves when every layer is measured. */
  async measured(): Promise<void> {
    await Promise.all(this.#measuring);
  }

  /** Syncs now; those layers that were there before are trusted from then on. */
  async syncNow(): Promise<void> {
    const written = this.#catalog.unsynced();
    if (written.length === 0) return;
    try {
      await this.#sync(this.#paths.snapshots);
      if (!this.#closed) this.#catalog.trust(written);
    } catch (error) {
      this.#logger.log("warn", "new layers could not be synced to the disk", { error: errorMessage(error) });
    }
  }

  /** What is not done is done after the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.measured();
  }

  #measure(chainId: Digest): void {
    const layer = this.#catalog.layer(chainId);
    if (layer === undefined) return;
    const folders = [layer.folder, this.#catalog.initFolder(chainId) ?? ""].filter((folder) => folder !== "");
    const measuring = Promise.all(folders.map((folder) => treeUsage(this.#paths.snapshot(folder))))
      .then((parts) =>
        this.#catalog.setUsage(
          chainId,
          parts.reduce((sum, { allocated }) => sum + allocated, 0),
        ),
      )
      .catch((error: unknown) => {
        if (errnoOf(error) !== "ENOENT")
          this.#logger.log("warn", "a layer could not be measured", { layer: chainId, error: errorMessage(error) });
      })
      .finally(() => this.#measuring.delete(measuring));
    this.#measuring.add(measuring);
  }

  #syncLater(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.syncNow();
    }, SYNC_AFTER).unref();
  }
}
