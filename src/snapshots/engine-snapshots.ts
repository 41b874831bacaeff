/** The snapshots of a data root over its catalog, its driver and its jobs. */
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import type { FilesystemChange } from "../api/types/container.ts";
import { chainIdOf } from "../base/chain-id.ts";
import type { Digest } from "../base/digest.ts";
import { EngineError, errnoOf } from "../base/errors.ts";
import { KeyedLock } from "../base/locks.ts";
import type { Logger } from "../base/log.ts";
import { TarParser } from "../base/tar/parser.ts";
import { TarWriter } from "../base/tar/writer.ts";
import { isMountPoint, unmountAside } from "../kernel/mounts.ts";
import { treeUsage } from "../kernel/trees.ts";
import type { Paths } from "../store/paths.ts";
import type { Catalog, DriverKind, StoredSnapshot } from "./catalog.ts";
import { compareTrees, type TreeChange } from "./compare.ts";
import { copyDriver } from "./copy.ts";
import type { Driver } from "./driver.ts";
import { makeMountPoints, missingMountPoints } from "./init-tree.ts";
import type { Workplace } from "./layer-builder.ts";
import { LayerMaker, newFolderName } from "./layer-maker.ts";
import { writeLayer } from "./layer-tar.ts";
import { hasFewEntries, StackView } from "./lower-view.ts";
import type { Remover } from "./remove-tree.ts";
import { changedBytes, sealTree } from "./seal.ts";
import { Settler } from "./settle.ts";
import type { Layer, LayerInput, SealedLayer, SealOptions, Snapshots } from "./snapshots.ts";
import { UnpackJobs, type UnpackOptions } from "./unpack-jobs.ts";
import { type UnpackedTree, Unpacker } from "./unpacker.ts";
import { WorkerPool } from "./worker-pool.ts";

export class EngineSnapshots implements Snapshots {
  readonly #paths: Paths;
  readonly #catalog: Catalog;
  readonly #remover: Remover;
  readonly #driver: Driver;
  readonly #pool = new WorkerPool();
  readonly #followers = new WorkerPool();
  readonly #settler: Settler;
  readonly #maker: LayerMaker;
  readonly #jobs: UnpackJobs;
  readonly #lock = new KeyedLock();

  constructor(parts: {
    readonly paths: Paths;
    readonly catalog: Catalog;
    readonly remover: Remover;
    readonly driver: Driver;
    readonly logger: Logger;
  }) {
    this.#paths = parts.paths;
    this.#catalog = parts.catalog;
    this.#remover = parts.remover;
    this.#driver = parts.driver;
    this.#settler = new Settler(parts);
    this.#maker = new LayerMaker({ ...parts, pool: this.#pool, followers: this.#followers, settler: this.#settler });
    this.#jobs = new UnpackJobs(this.#catalog, this.#maker);
  }

  get driver(): DriverKind {
    return this.#driver.kind;
  }

  unpack(layers: readonly LayerInput[], options?: UnpackOptions): Promise<Layer[]> {
    return this.#jobs.unpack(layers, options);
  }

  layer(chainId: Digest): Layer | undefined {
    return this.#catalog.layer(chainId);
  }

  layers(): Layer[] {
    return this.#catalog.layers();
  }

  layerFolders(chainId: Digest): readonly string[] | undefined {
    return this.#catalog.layer(chainId) === undefined ? undefined : this.#stack(chainId);
  }

  damaged(): Digest[] {
    return this.#catalog.damaged();
  }

  removed(): Promise<void> {
    return this.#remover.settled();
  }

  measured(): Promise<void> {
    return this.#settler.measured();
  }

  async removeLayer(chainId: Digest): Promise<void> {
    this.#maker.remove(chainId);
  }

  prepare(key: string, parent: Digest | undefined, { bare = false }: { readonly bare?: boolean } = {}): Promise<void> {
    return this.#lock.run(key, async () => {
      if (this.#catalog.hasSnapshot(key)) throw new EngineError("conflict", `snapshot ${key} exists already`);
      const stack = this.#stack(parent);
      const initFolder = bare && parent !== undefined ? "" : this.#initFolder(parent, stack);
      const folder = newFolderName();
      const home = this.#paths.snapshot(folder);
      try {
        mkdirSync(home, 0o700);
        const preparing = this.#driver.prepare(home, stack, this.#tree(initFolder));
        if (preparing !== undefined) await preparing;
        this.#catalog.addSnapshot(Object.freeze({ key, parent, folder, initFolder }));
      } catch (error) {
        this.#remover.remove(home);
        throw error;
      }
    });
  }

  async mount(
    key: string,
    target: string,
    { readOnly = false, ephemeral = false }: { readonly readOnly?: boolean; readonly ephemeral?: boolean } = {},
  ): Promise<void> {
    const { folder, parent, initFolder } = this.#catalog.snapshot(key);
    mkdirSync(target, { recursive: true });
    if (isMounted(target, this.#driver.kind)) return;
    const init = this.#tree(initFolder);
    const home = this.#paths.snapshot(folder);
    this.#driver.mount({ home, stack: this.#stack(parent), init, target, readOnly, ephemeral });
  }

  async unmount(target: string): Promise<void> {
    try {
      await unmountAside(target);
    } catch (error) {
      const code = errnoOf(error) ?? "";
      if (code === "EBUSY") await unmountAside(target, { detach: true });
      else if (!NOT_MOUNTED.has(code)) throw error;
    }
  }

  folders(key: string) {
    if (this.#driver.kind !== "overlay") return undefined;
    const { folder, parent, initFolder } = this.#catalog.snapshot(key);
    const home = this.#paths.snapshot(folder);
    const init = this.#tree(initFolder);
    const stack = this.#stack(parent);
    return { lower: init === undefined ? stack : [init, ...stack], upper: `${home}/fs`, work: `${home}/work` };
  }

  async usage(key: string): Promise<number> {
    const snapshot = this.#catalog.snapshot(key);
    const root = this.#maker.treeOf(snapshot.folder);
    if (this.#driver.layersHoldParents) return changedBytes(root, await this.#changes(snapshot));
    return (await treeUsage(root)).bytes;
  }

  async occupied(key: string): Promise<number> {
    return (await treeUsage(this.#paths.snapshot(this.#catalog.snapshot(key).folder))).allocated;
  }

  async changes(key: string): Promise<FilesystemChange[]> {
    const changes = await this.#changes(this.#catalog.snapshot(key));
    return changes.map(({ path, kind }) => ({ Path: `/${Buffer.from(path, "latin1").toString()}`, Kind: kind }));
  }

  diff(key: string): Readable {
    const snapshot = this.#catalog.snapshot(key);
    const writer = new TarWriter();
    const write = async () => writeLayer(this.#maker.treeOf(snapshot.folder), await this.#changes(snapshot), writer);
    write().catch((error: unknown) => writer.destroy(error instanceof Error ? error : new Error(String(error))));
    return writer.stream;
  }

  async commit(
    key: string,
    { diffId, chainId }: { readonly diffId: Digest; readonly chainId: Digest },
  ): Promise<Layer> {
    const { parent } = this.#catalog.snapshot(key);
    if (chainIdOf(parent, diffId) !== chainId) {
      throw new EngineError("invalid", `layer ${diffId} on ${parent ?? "nothing"} is not ${chainId}`);
    }
    return this.#lock.run(`layer ${chainId}`, async () => {
      const stored = this.#catalog.layer(chainId);
      if (stored !== undefined) return stored;
      const order = { chainId, parent, diffId, parentReady: Promise.resolve() };
      return this.#maker.makeWith(order, (root) => this.#unpackDiff(key, diffId, root));
    });
  }

  difference(from: Digest | undefined, to: Digest, how: { readonly tar: string; readonly signal?: AbortSignal }) {
    return this.withLayer(to, async (root) => {
      const compare = (lower: string | undefined) => compareTrees({ upper: root, lower, kind: "copy" });
      const changes = await (from === undefined ? compare(undefined) : this.withLayer(from, compare));
      return sealTree({ ...how, root, changes });
    });
  }

  workplace(key: string): Workplace {
    const { folder, parent } = this.#catalog.snapshot(key);
    const { whiteouts } = this.#driver;
    return { root: this.#maker.treeOf(folder), below: this.#stack(parent), whiteouts };
  }

  seal(key: string, how: SealOptions): Promise<SealedLayer | undefined> {
    return this.#lock.run(key, async () => {
      const snapshot = this.#catalog.snapshot(key);
      const root = this.#maker.treeOf(snapshot.folder);
      const tree =
        "built" in how ? how.built : await sealTree({ ...how, root, changes: await this.#changes(snapshot) });
      if (tree === undefined) {
        this.#discard(snapshot);
        return undefined;
      }
      const chainId = chainIdOf(snapshot.parent, tree.diffId);
      const layer = await this.#lock.run(`layer ${chainId}`, () => this.#turnIntoLayer(snapshot, { chainId, ...tree }));
      return { ...layer, tarSize: tree.tarSize };
    });
  }

  #turnIntoLayer(
    snapshot: StoredSnapshot,
    { chainId, diffId, size }: { readonly chainId: Digest; readonly diffId: Digest; readonly size: number },
  ): Layer {
    const stored = this.#catalog.layer(chainId);
    if (stored !== undefined) {
      this.#discard(snapshot);
      return stored;
    }
    const { key, parent, folder } = snapshot;
    rmSync(`${this.#paths.snapshot(folder)}/work`, { recursive: true, force: true });
    const layer = Object.freeze({ chainId, parent, diffId, folder, size, usage: undefined });
    this.#catalog.turnIntoLayer(key, layer);
    this.#settler.added(chainId);
    return layer;
  }

  #discard({ key, folder }: StoredSnapshot): void {
    this.#catalog.removeSnapshot(key);
    this.#remover.remove(this.#paths.snapshot(folder));
  }

  remove(key: string): Promise<void> {
    return this.#lock.run(key, () => {
      if (!this.#catalog.hasSnapshot(key)) return;
      this.#discard(this.#catalog.snapshot(key));
    });
  }

  keys(): string[] {
    return this.#catalog.snapshots().map(({ key }) => key);
  }

  async withLayer<T>(chainId: Digest, read: (root: string) => Promise<T>): Promise<T> {
    return this.#withStack(this.#stack(chainId), read);
  }

  async close(): Promise<void> {
    await this.#jobs.close();
    await Promise.all([this.#pool.close(), this.#followers.close()]);
    await this.#settler.close();
    await this.#remover.settled();
  }

  /** The trees of a chain that make up what one sees, topmost first. */
  #stack(chainId: Digest | undefined): readonly string[] {
    return this.#driver.stack(this.#catalog.chain(chainId).map(({ folder }) => this.#maker.treeOf(folder)));
  }

  #tree(folder: string): string | undefined {
    return folder === "" ? undefined : this.#maker.treeOf(folder);
  }

  /** Made once for each parent. */
  #initFolder(parent: Digest | undefined, stack: readonly string[]): string {
    const known = this.#catalog.initFolder(parent);
    if (known !== undefined) return known;
    const missing = missingMountPoints(stack);
    const folder = missing.length === 0 ? "" : newFolderName();
    if (folder !== "") {
      mkdirSync(this.#paths.snapshot(folder), 0o700);
      mkdirSync(this.#maker.treeOf(folder), 0o755);
      makeMountPoints(this.#maker.treeOf(folder), missing, stack);
    }
    this.#catalog.addInitFolder(parent, folder);
    if (parent !== undefined && folder !== "") this.#settler.grew(parent);
    return folder;
  }

  async #changes({ folder, parent, initFolder }: StoredSnapshot): Promise<TreeChange[]> {
    const upper = this.#maker.treeOf(folder);
    const init = this.#driver.kind === "overlay" ? this.#tree(initFolder) : undefined;
    const stack = init === undefined ? this.#stack(parent) : [init, ...this.#stack(parent)];
    if (stack.length === 0) return compareTrees({ upper, lower: undefined, kind: this.#driver.kind });
    if (this.#driver.kind === "overlay" && hasFewEntries(upper))
      return compareTrees({ upper, lower: new StackView(stack), kind: "overlay" });
    return this.#withStack(stack, (lower) => compareTrees({ upper, lower, kind: this.#driver.kind }));
  }

  async #withStack<T>(stack: readonly string[], read: (root: string) => Promise<T>): Promise<T> {
    const view = this.#paths.snapshot(`view-${newFolderName()}`);
    const target = `${view}/fs`;
    mkdirSync(target, { recursive: true, mode: 0o700 });
    try {
      const [only] = stack;
      if (stack.length === 1 && only !== undefined && this.#driver.kind === "overlay")
        copyDriver.mountView([only], target);
      else this.#driver.mountView(stack, target);
      return await read(target);
    } finally {
      await unmountAside(target, { detach: true }).catch(() => {});
      this.#remover.remove(view);
    }
  }

  async #unpackDiff(key: string, diffId: Digest, root: string): Promise<UnpackedTree> {
    const unpacker = new Unpacker({ root, mode: this.#driver.whiteouts, umask: process.umask() });
    const parser = new TarParser(unpacker);
    const hash = createHash(diffId.slice(0, diffId.indexOf(":")));
    try {
      for await (const chunk of this.diff(key)) {
        hash.update(chunk);
        parser.write(chunk);
      }
      parser.end();
      const actual = `${diffId.slice(0, diffId.indexOf(":"))}:${hash.digest("hex")}`;
      if (actual !== diffId)
        throw new EngineError("invalid", `the snapshot's changes have digest ${actual}, expected ${diffId}`);
      return unpacker.finish();
    } catch (error) {
      unpacker.abort();
      throw error;
    }
  }
}

const NOT_MOUNTED = new Set(["EINVAL", "ENOENT"]);

/** An overlay has a device number of its own; reading the mount table costs more the more containers run. A bind is only found there. */
function isMounted(target: string, kind: DriverKind): boolean {
  if (kind === "overlay") return statSync(target).dev !== statSync(dirname(target)).dev;
  return isMountPoint(target);
}
