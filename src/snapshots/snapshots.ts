/**
 * The snapshots module's contract: file system trees in layers.
 *
 * A *layer* is committed, immutable, named by its chain id (OCI image specification: sha256 of the chain of diff ids) and
 * may have a parent. An *active* snapshot is a writable tree over a layer (or over nothing), named by its owner (a container's id);
 * `mount` makes it visible somewhere. Drivers: `overlay` (default) and `copy` (where overlay cannot work).
 */
import type { Readable } from "node:stream";
import type { FilesystemChange } from "../api/types/container.ts";
import type { Digest } from "../base/digest.ts";
import type { Growth } from "../base/growth.ts";
import type { Workplace } from "./layer-builder.ts";

export interface LayerInput {
  /** Checked against what was unpacked: "invalid" when it differs. */
  readonly diffId: Digest;
  /** Chain id of the layer below. It need not be unpacked yet when several are unpacked at once; see `unpack`. */
  readonly parent: Digest | undefined;
  /** A file with the layer's bytes (plain, gzip or zstd, recognised by content), from `offset` for `length` bytes. */
  readonly source:
    | {
        readonly path: string;
        readonly offset?: number | undefined;
        readonly length?: number | undefined;
      }
    | GrowingSource;
  /** When given, the source bytes' own digest is checked too. */
  readonly digest?: Digest | undefined;
}

/** A file that is being written while it is unpacked. */
export interface GrowingSource {
  /** A descriptor for reading, each time; the caller of this closes it. */
  open(): number;
  /** Bytes when it is whole. */
  readonly length: number;
  readonly growth: Growth;
  /** Resolves when there is something to read; only then a worker is bound to it. */
  readonly begun: Promise<unknown>;
  /** Resolves when it is whole. Both reject when it never will be. */
  readonly whole: Promise<unknown>;
}

export interface Layer {
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
  readonly diffId: Digest;
  /** Bytes of file data of this layer alone. */
  readonly size: number;
  /** Bytes that its folder takes on the disk, blocks and directories, with the mount points that containers on it need; undefined until that is measured, soon after it is made. With the copy driver that is the whole tree. */
  readonly usage: number | undefined;
}

export type SealOptions =
  | { readonly built: { readonly diffId: Digest; readonly size: number; readonly tarSize: number } }
  | { readonly tar: string; readonly latest?: bigint | undefined; readonly signal?: AbortSignal | undefined };

export interface SealedLayer extends Layer {
  /** Bytes of its tar. */
  readonly tarSize: number;
}

export interface Snapshots {
  readonly driver: "overlay" | "copy";
  /**
   * Unpacks layers, lowest first, several at once in workers. Idempotent per chain id, and shared between concurrent callers.
   * Post-condition: all are committed. On failure none of the new ones is kept that has a failed one below it; nothing half-done is visible.
   */
  unpack(
    layers: readonly LayerInput[],
    options?: { readonly signal?: AbortSignal; readonly onProgress?: (layer: number, bytes: number) => void },
  ): Promise<Layer[]>;
  layer(chainId: Digest): Layer | undefined;
  layers(): Layer[];
  /** Where a layer's tree and those below it lie, topmost first; with the copy driver one. Undefined when one of them is missing. */
  layerFolders(chainId: Digest): readonly string[] | undefined;
  /** Layers that a power cut may have damaged and that something lies on: unpacking them again puts them right. Others are removed at the start. */
  damaged(): Digest[];
  /** Resolves when every layer's `usage` is known. */
  measured(): Promise<void>;
  /** Resolves when everything is gone from the disk that was removed so far. */
  removed(): Promise<void>;
  /** "conflict" when a layer or an active snapshot lies on it. Its folder goes later; see `removed`. */
  removeLayer(chainId: Digest): Promise<void>;

  /**
   * Makes a writable snapshot. "conflict" when the key exists. No mount is made. `bare`: without the places that a container's own mounts
   * need, on a parent.
   */
  prepare(key: string, parent: Digest | undefined, options?: { readonly bare?: boolean }): Promise<void>;
  /**
   * Mounts it at `target` (made if missing); mounting twice at one place is no error. `ephemeral`: nobody wants the tree back after a
   * power cut (a container that is removed when it ends), so nothing is ever synced, and unmounting waits for no disk.
   */
  mount(
    key: string,
    target: string,
    options?: { readonly readOnly?: boolean; readonly ephemeral?: boolean },
  ): Promise<void>;
  /** May wait for the disk (an overlay syncs its file system); never blocks the event loop. Nothing mounted there is no error. */
  unmount(target: string): Promise<void>;
  /** Where an overlay's parts lie, lower ones topmost first; undefined with the copy driver. */
  folders(
    key: string,
  ): { readonly lower: readonly string[]; readonly upper: string; readonly work: string } | undefined;
  /** Bytes of the files in the writable part. */
  usage(key: string): Promise<number>;
  /** Bytes that the snapshot takes on the disk: what du says. */
  occupied(key: string): Promise<number>;
  /** Differences from the parent, sorted by path, as `docker diff`. */
  changes(key: string): Promise<FilesystemChange[]>;
  /** The differences as a layer tar (whiteouts as `.wh.`), deterministic for one tree. */
  diff(key: string): Readable;
  /** Turns what `diff` would give into a layer on the same parent; the snapshot stays. */
  commit(key: string, layer: { readonly diffId: Digest; readonly chainId: Digest }): Promise<Layer>;
  /**
   * The layer tar that makes of the tree of one layer (of nothing) that of another, as `diff`, to the file `tar`, which must not exist.
   * Undefined, and no file, when they look the same.
   */
  difference(
    from: Digest | undefined,
    to: Digest,
    how: { readonly tar: string; readonly signal?: AbortSignal | undefined },
  ): Promise<{ readonly diffId: Digest; readonly tarSize: number } | undefined>;
  /** Where a writable snapshot's tree is made by a LayerBuilder, before it was ever mounted. */
  workplace(key: string): Workplace;
  /**
   * Turns a writable snapshot, which must not be mounted, into a layer without copying it: what `diff` would give, or what a LayerBuilder
   * made (`built`). The tar is written to the file `tar`, which must not exist. `latest`: later times (nanoseconds) become this one. The
   * snapshot is gone afterwards; undefined when nothing had changed, and no file is made then. On failure the snapshot stays.
   */
  seal(key: string, how: SealOptions): Promise<SealedLayer | undefined>;
  /** Removes a writable snapshot; must not be mounted. Idempotent. */
  remove(key: string): Promise<void>;
  /** Keys of the writable snapshots. */
  keys(): string[];
  /** The whole tree of a layer at a temporary read-only mount, for reading (copy-up, user lookup). */
  withLayer<T>(chainId: Digest, read: (root: string) => Promise<T>): Promise<T>;
  /** Ends the workers and waits until what was removed is gone from the disk. Mounts stay. Idempotent. */
  close(): Promise<void>;
}
