import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import type { Store } from "../store/store.ts";
import type { Layer } from "./snapshots.ts";

/** A layer and the name of its folder below snapshots/. */
export interface StoredLayer extends Layer {
  readonly folder: string;
}

export interface StoredSnapshot {
  readonly key: string;
  readonly parent: Digest | undefined;
  readonly folder: string;
  /** "" when nothing is between the layers and the writable tree. */
  readonly initFolder: string;
}

export type DriverKind = "overlay" | "copy";

interface LayerRow {
  readonly chain_id: string;
  readonly parent: string | null;
  readonly diff_id: string;
  readonly folder: string;
  readonly size: number;
}

interface SnapshotRow {
  readonly key: string;
  readonly parent: string | null;
  readonly folder: string;
  readonly init_folder: string;
}

/** The rows, all in memory (some hundred bytes each): mounting a container reads no table. What has a row is whole on the disk. */
export class Catalog {
  readonly #store: Store;
  readonly #driver: DriverKind;
  readonly #layers = new Map<Digest, StoredLayer>();
  readonly #snapshots = new Map<string, StoredSnapshot>();
  readonly #inits = new Map<string, string>();

  constructor(store: Store, driver: DriverKind) {
    this.#store = store;
    this.#driver = driver;
    for (const row of store.all<LayerRow>("SELECT * FROM layers")) this.#layers.set(row.chain_id, layerOf(row));
    for (const row of store.all<SnapshotRow>("SELECT * FROM snapshots")) this.#snapshots.set(row.key, snapshotOf(row));
    for (const row of store.all<{ parent: string; folder: string }>("SELECT * FROM init_trees"))
      this.#inits.set(row.parent, row.folder);
  }

  layers(): StoredLayer[] {
    return [...this.#layers.values()];
  }

  layer(chainId: Digest): StoredLayer | undefined {
    return this.#layers.get(chainId);
  }

  /** A layer and those below it, topmost first; "not-found" when one of them is missing. */
  chain(chainId: Digest | undefined): StoredLayer[] {
    const found: StoredLayer[] = [];
    for (let next = chainId; next !== undefined; next = found.at(-1)?.parent) {
      const layer = this.#layers.get(next);
      if (layer === undefined) throw new EngineError("not-found", `layer ${next} does not exist`);
      found.push(layer);
    }
    return found;
  }

  addLayer(layer: StoredLayer): void {
    const { chainId, parent, diffId, folder, size } = layer;
    this.#store.durable(() =>
      this.#store.run(
        "INSERT INTO layers (chain_id, parent, diff_id, folder, size, driver, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        chainId,
        parent ?? null,
        diffId,
        folder,
        size,
        this.#driver,
        new Date().toISOString(),
      ),
    );
    this.#layers.set(chainId, layer);
  }

  /** Returns the folders that nothing names any more. "conflict" when something lies on the layer. */
  removeLayer(chainId: Digest): string[] {
    const layer = this.#layers.get(chainId);
    if (layer === undefined) return [];
    for (const { parent, chainId: above } of this.#layers.values())
      if (parent === chainId) throw new EngineError("conflict", `layer ${chainId} is used by layer ${above}`);
    for (const { parent, key } of this.#snapshots.values())
      if (parent === chainId) throw new EngineError("conflict", `layer ${chainId} is used by snapshot ${key}`);
    this.#store.transaction(() => {
      this.#store.run("DELETE FROM layers WHERE chain_id = ?", chainId);
      this.#store.run("DELETE FROM init_trees WHERE parent = ?", chainId);
    });
    const folders = [layer.folder, this.#inits.get(chainId) ?? ""];
    this.#layers.delete(chainId);
    this.#inits.delete(chainId);
    return folders.filter((folder) => folder !== "");
  }

  snapshots(): StoredSnapshot[] {
    return [...this.#snapshots.values()];
  }

  hasSnapshot(key: string): boolean {
    return this.#snapshots.has(key);
  }

  /** "not-found" when there is none. */
  snapshot(key: string): StoredSnapshot {
    const found = this.#snapshots.get(key);
    if (found === undefined) throw new EngineError("not-found", `snapshot ${key} does not exist`);
    return found;
  }

  addSnapshot(snapshot: StoredSnapshot): void {
    const { key, parent, folder, initFolder } = snapshot;
    this.#store.run(
      "INSERT INTO snapshots (key, parent, folder, init_folder, driver, created_at) VALUES (?, ?, ?, ?, ?, ?)",
      key,
      parent ?? null,
      folder,
      initFolder,
      this.#driver,
      new Date().toISOString(),
    );
    this.#snapshots.set(key, snapshot);
  }

  /** The snapshot's folder is the layer's from now on. */
  turnIntoLayer(key: string, layer: StoredLayer): void {
    const { chainId, parent, diffId, folder, size } = layer;
    this.#store.transaction(() => {
      this.#store.run("DELETE FROM snapshots WHERE key = ?", key);
      this.#store.run(
        "INSERT INTO layers (chain_id, parent, diff_id, folder, size, driver, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        ...[chainId, parent ?? null, diffId, folder, size, this.#driver, new Date().toISOString()],
      );
    });
    this.#snapshots.delete(key);
    this.#layers.set(chainId, layer);
  }

  removeSnapshot(key: string): void {
    this.#store.run("DELETE FROM snapshots WHERE key = ?", key);
    this.#snapshots.delete(key);
  }

  /** The folder of the mount points that a parent lacks ("" for none needed); undefined when that is not known yet. */
  initFolder(parent: Digest | undefined): string | undefined {
    return this.#inits.get(parent ?? "");
  }

  addInitFolder(parent: Digest | undefined, folder: string): void {
    this.#store.run("INSERT INTO init_trees (parent, folder) VALUES (?, ?)", parent ?? "", folder);
    this.#inits.set(parent ?? "", folder);
  }

  /** Every folder that a row names. */
  folders(): Set<string> {
    const named = [...this.#layers.values(), ...this.#snapshots.values()].map(({ folder }) => folder);
    return new Set([...named, ...this.#inits.values()]);
  }
}

/** The driver that wrote what is stored; undefined while nothing is. */
export function storedDriver(store: Store): DriverKind | undefined {
  return store.get<{ driver: DriverKind }>("SELECT driver FROM layers UNION SELECT driver FROM snapshots LIMIT 1")
    ?.driver;
}

function layerOf(row: LayerRow): StoredLayer {
  const { chain_id: chainId, parent, diff_id: diffId, folder, size } = row;
  return Object.freeze({ chainId, parent: parent ?? undefined, diffId, folder, size });
}

function snapshotOf(row: SnapshotRow): StoredSnapshot {
  return Object.freeze({
    key: row.key,
    parent: row.parent ?? undefined,
    folder: row.folder,
    initFolder: row.init_folder,
  });
}
