import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync } from "node:fs";
import type { Digest } from "../base/digest.ts";
import { explainDiskFull } from "../base/disk-full.ts";
import type { Logger } from "../base/log.ts";
import type { Paths } from "../store/paths.ts";
import type { Catalog, StoredLayer } from "./catalog.ts";
import { copyTree } from "./copy-tree.ts";
import type { Driver } from "./driver.ts";
import { inheritAttributes } from "./inherit.ts";
import type { Remover } from "./remove-tree.ts";
import type { Settler } from "./settle.ts";
import type { GrowingSource } from "./snapshots.ts";
import type { UnpackTask } from "./unpack-file.ts";
import type { UnpackedTree } from "./unpacker.ts";
import type { WorkerPool } from "./worker-pool.ts";

export interface LayerOrder {
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
  readonly diffId: Digest;
  /** Resolves when the layer below is stored. */
  readonly parentReady: Promise<unknown>;
  readonly task: Omit<UnpackTask, "root" | "mode" | "umask">;
  readonly growing?: GrowingSource | undefined;
  readonly sourceBytes: number;
  readonly onProgress: (bytes: number) => void;
}

/** Makes layers: tree first, row last; a failure takes the tree away. */
export class LayerMaker {
  readonly #catalog: Catalog;
  readonly #driver: Driver;
  readonly #paths: Paths;
  readonly #pool: WorkerPool;
  /** Apart, so that slow networks never keep those waiting whose bytes are there. */
  readonly #followers: WorkerPool;
  readonly #remover: Remover;
  readonly #settler: Settler;
  readonly #logger: Logger;

  constructor(parts: {
    readonly catalog: Catalog;
    readonly driver: Driver;
    readonly paths: Paths;
    readonly pool: WorkerPool;
    readonly followers: WorkerPool;
    readonly remover: Remover;
    readonly settler: Settler;
    readonly logger: Logger;
  }) {
    this.#catalog = parts.catalog;
    this.#driver = parts.driver;
    this.#paths = parts.paths;
    this.#pool = parts.pool;
    this.#followers = parts.followers;
    this.#remover = parts.remover;
    this.#settler = parts.settler;
    this.#logger = parts.logger;
  }

  make(order: LayerOrder): Promise<StoredLayer> {
    return this.makeWith(order, (root) => {
      const task = { ...order.task, root, mode: this.#driver.whiteouts, umask: process.umask() };
      if (order.growing !== undefined) return this.#unpackGrowing(task, order.growing, order.onProgress);
      return this.#pool.run(task, order.sourceBytes, order.onProgress);
    });
  }

  /** While it comes, where a thread is free for what may take long; otherwise, or when that is the sooner, when it is whole. */
  async #unpackGrowing(
    task: UnpackTask,
    source: GrowingSource,
    onProgress: (bytes: number) => void,
  ): Promise<UnpackedTree> {
    await (this.#followers.isSmall(source.length) ? source.whole : source.begun);
    // Open from now on, so that the file may get its final name meanwhile.
    const fd = source.open();
    try {
      const run = await this.#followers.take(source.whole);
      if (run === undefined) return await this.#pool.run({ ...task, fd }, source.length, onProgress);
      return await run({ ...task, fd, growth: source.growth }, onProgress);
    } finally {
      closeSync(fd);
    }
  }

  /** `fill` puts the layer's entries into the folder that it gets. */
  async makeWith(
    { chainId, parent, diffId, parentReady }: Pick<LayerOrder, "chainId" | "parent" | "diffId" | "parentReady">,
    fill: (root: string) => Promise<UnpackedTree>,
  ): Promise<StoredLayer> {
    // Looked at now, so that a failure below is never an unhandled one while this layer unpacks.
    parentReady.catch(() => {});
    const folder = newFolderName();
    const home = this.#paths.snapshot(folder);
    const root = `${home}/fs`;
    try {
      mkdirSync(home, 0o700);
      mkdirSync(root, 0o755);
      if (this.#driver.layersHoldParents) await this.#copyParent(parent, parentReady, root);
      const tree = await fill(root);
      await parentReady;
      const below = this.#catalog.chain(parent).map((layer) => this.treeOf(layer.folder));
      if (!this.#driver.layersHoldParents) inheritAttributes(root, tree.implied, below);
      if (tree.refusedXattrs.length > 0) {
        this.#logger.log("warn", "the file system refused extended attributes of a layer", {
          layer: chainId,
          names: tree.refusedXattrs.join(","),
        });
      }
      const layer = Object.freeze({ chainId, parent, diffId, folder, size: tree.bytes, usage: undefined });
      const old = this.#catalog.addLayer(layer);
      if (old !== undefined) this.#remover.remove(this.#paths.snapshot(old));
      this.#settler.added(chainId);
      return layer;
    } catch (error) {
      this.#remover.remove(home);
      throw explainDiskFull(error, `unpacking layer ${diffId}`);
    }
  }

  /** "conflict" when something lies on it. */
  remove(chainId: Digest): void {
    for (const folder of this.#catalog.removeLayer(chainId)) this.#remover.remove(this.#paths.snapshot(folder));
  }

  treeOf(folder: string): string {
    return `${this.#paths.snapshot(folder)}/fs`;
  }

  async #copyParent(parent: Digest | undefined, ready: Promise<unknown>, root: string): Promise<void> {
    await ready;
    const below = parent === undefined ? undefined : this.#catalog.layer(parent);
    if (below !== undefined) await copyTree(this.treeOf(below.folder), root);
  }
}

/** Never used twice, so that what is still being removed is in nobody's way. */
export function newFolderName(): string {
  return randomBytes(8).toString("hex");
}
