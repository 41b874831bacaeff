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
  readonly usage: number | null;
  readonly unsynced_boot: string | null;
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
  readonly #boot: string;
  /** Layers that may not be on the disk yet. */
  readonly #unsynced = new Set<Digest>();
  /** Layers that a power cut may have damaged. */
  readonly #damaged = new Set<Digest>();

  constructor(store: Store, driver: DriverKind, boot: string) {
    this.#store = store;
    this.#driver = driver;
    this.#boot = boot;
    for (const row of store.all<LayerRow>("SELECT * FROM layers")) {
      this.#layers.set(row.chain_id, layerOf(row));
      if (row.unsynced_boot === null) continue;
      (row.unsynced_boot === boot ? this.#unsynced : this.#damaged).add(row.chain_id);
    }
    for (const row of store.all<SnapshotRow>("SELECT * FROM snapshots")) this.#snapshots.set(row.key, snapshotOf(row));
    for (const row of store.all<{ parent: string; folder: string }>("SELECT * FROM init_trees"))
      this.#inits.set(row.parent, row.folder);
  }

  layers(): StoredLayer[] {
    return [...this.#layers.values()];
  }

  /** Undefined for one that is damaged too. */
  layer(chainId: Digest): StoredLayer | undefined {
    return this.#damaged.has(chainId) ? undefined : this.#layers.get(chainId);
  }

  /** A layer and those below it, topmost first; "not-found" when one of them is missing. */
  chain(chainId: Digest | undefined): StoredLayer[] {
    const found: StoredLayer[] = [];
    for (let next = chainId; next !== undefined; next = found.at(-1)?.parent) {
      const layer = this.#layers.get(next);
      if (layer === undefined) throw new EngineError("not-found", `layer ${next} does not exist`);
      if (this.#damaged.has(next)) throw damagedLayer(next);
      found.push(layer);
    }
    return found;
  }

  /** Layers of which nobody knows yet that they are on the disk. */
  unsynced(): Digest[] {
    return [...this.#unsynced];
  }

  /** They are on the disk. */
  trust(chainIds: readonly Digest[]): void {
    this.#store.transaction(() => {
      for (const chainId of chainIds)
        this.#store.run("UPDATE layers SET unsynced_boot = NULL WHERE chain_id = ?", chainId);
    });
    for (const chainId of chainIds) this.#unsynced.delete(chainId);
  }

  /** Layers of which nobody knew that they were on the disk when the machine went down. What lies on them stays; they must be made again. */
  damaged(): Digest[] {
    return [...this.#damaged];
  }

  setUsage(chainId: Digest, usage: number): void {
    const layer = this.#layers.get(chainId);
    if (layer === undefined) return;
    this.#store.run("UPDATE layers SET usage = ? WHERE chain_id = ?", usage, chainId);
    this.#layers.set(chainId, Object.freeze({ ...layer, usage }));
  }

  /** In the place of a damaged one, if there is. Returns the folder that nothing names any more. */
  addLayer(layer: StoredLayer): string | undefined {
    const old = this.#layers.get(layer.chainId)?.folder;
    this.#store.durable(() => this.#insertLayer(layer));
    this.#damaged.delete(layer.chainId);
    this.#layers.set(layer.chainId, layer);
    return old;
  }

  #insertLayer({ chainId, parent, diffId, folder, size }: StoredLayer): void {
    this.#store.run(
      `INSERT INTO layers (chain_id, parent, diff_id, folder, size, driver, created_at, unsynced_boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (chain_id) DO UPDATE SET folder = excluded.folder, size = excluded.size, usage = NULL, unsynced_boot = excluded.unsynced_boot`,
      ...[chainId, parent ?? null, diffId, folder, size, this.#driver, new Date().toISOString(), this.#boot],
    );
    this.#unsynced.add(chainId);
  }

  /** Returns the folders that nothing names any more. "conflict" when something lies on the layer. */
  removeLayer(chainId: Digest): string[] {
    const layer = this.#layers.get(chainId);
    if (layer === undefined) return [];
    const above = this.#above(chainId);
    if (above !== undefined) throw new EngineError("conflict", `layer ${chainId} is used by ${above}`);
    this.#store.transaction(() => {
      this.#store.run("DELETE FROM layers WHERE chain_id = ?", chainId);
      this.#store.run("DELETE FROM init_trees WHERE parent = ?", chainId);
    });
    const folders = [layer.folder, this.#inits.get(chainId) ?? ""];
    this.#unsynced.delete(chainId);
    this.#damaged.delete(chainId);
    this.#layers.delete(chainId);
    this.#inits.delete(chainId);
    return folders.filter((folder) => folder !== "");
  }

  /** Whether a layer or a snapshot lies on it. */
  isUsed(chainId: Digest): boolean {
    return this.#above(chainId) !== undefined;
  }

  #above(chainId: Digest): string | undefined {
    for (const { parent, chainId: above } of this.#layers.values()) if (parent === chainId) return `layer ${above}`;
    for (const { parent, key } of this.#snapshots.values()) if (parent === chainId) return `snapshot ${key}`;
    return undefined;
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
    this.#store.transaction(() => {
      this.#store.run("DELETE FROM snapshots WHERE key = ?", key);
      this.#insertLayer(layer);
    });
    this.#snapshots.delete(key);
    this.#layers.set(layer.chainId, layer);
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

function damagedLayer(chainId: Digest): EngineError {
  return new EngineError(
    "unavailable",
    `layer ${chainId} may be damaged: the machine went down soon after it was made`,
    {
      hint: "load or pull its image again",
    },
  );
}

/** The driver that wrote what is stored; undefined while nothing is. */
export function storedDriver(store: Store): DriverKind | undefined {
  return store.get<{ driver: DriverKind }>("SELECT driver FROM layers UNION SELECT driver FROM snapshots LIMIT 1")
    ?.driver;
}

function layerOf(row: LayerRow): StoredLayer {
  const { chain_id: chainId, parent, diff_id: diffId, folder, size } = row;
  return Object.freeze({
    chainId,
    parent: parent ?? undefined,
    diffId,
    folder,
    size,
    usage: row.usage ?? undefined,
  });
}

function snapshotOf(row: SnapshotRow): StoredSnapshot {
  return Object.freeze({
    key: row.key,
    parent: row.parent ?? undefined,
    folder: row.folder,
    initFolder: row.init_folder,
  });
}
