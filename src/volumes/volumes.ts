/**
 * The volumes module's contract: named places that outlive containers. References are the containers module's; it passes them in.
 *
 * Vocabulary
 *   clone     a volume of its own with what another one held at a moment
 *   snapshot  the same, read-only; no prune takes it away
 *   restore   back to what a snapshot (or any other volume) holds: the old content stays until all of the new one is there
 */
import type { Readable } from "node:stream";
import type { Volume, VolumeCreateOptions } from "../api/types/volume.ts";

export interface CopyOptions {
  readonly name: string;
  readonly snapshot: boolean;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /**
   * Runs `last` while nobody writes to the volume: what changed since the copy began is brought over then. It need not run it when
   * nobody could have written.
   */
  readonly still: Still;
  readonly signal?: AbortSignal | undefined;
}

export type Still = (last: () => Promise<void>) => Promise<void>;

export interface VolumeList {
  readonly volumes: readonly Volume[];
  /** What could not be asked. */
  readonly warnings: readonly string[];
}

export interface Volumes {
  /** Creates, or returns the existing one of this name when driver and options agree ("conflict" otherwise). With no driver, a plug-in's volume of this name is taken. An empty name makes an anonymous volume (64 hex, label com.docker.volume.anonymous). */
  create(options: VolumeCreateOptions): Promise<Volume>;
  /** As it is recorded. "not-found": `get <name>: no such volume`. */
  inspect(name: string): Volume;
  /** The same with what its driver says of it; also one that a plug-in has and nobody made here. */
  describe(name: string): Promise<Volume>;
  list(): Volume[];
  /** With those that plug-ins have and nobody made here; a plug-in that does not answer in some seconds is left out. */
  listAll(): Promise<VolumeList>;
  /** Removes it and its data. `inUseBy`: ids of containers that refer to it; any makes a "conflict" ("volume is in use - [ids]") also with force. */
  remove(name: string, options: { readonly force: boolean; readonly inUseBy: readonly string[] }): Promise<void>;
  /** Makes the data reachable (mounts an nfs or tmpfs one) and returns the folder on the host. Counted: pair each with `release`. */
  acquire(name: string, user: string): Promise<string>;
  release(name: string, user: string): Promise<void>;
  /** Copies the image's content at `from` into the empty volume once, with owners, modes, times, xattrs. No effect on a volume that has content. */
  copyUp(name: string, from: string): Promise<void>;
  /** Makes the volume `options.name` of what `name` holds. "conflict" when there is one of that name. */
  copy(name: string, options: CopyOptions): Promise<Volume>;
  /** "conflict" while someone uses `name`, or when it is a snapshot itself; "invalid" for a volume on a device. */
  restoreFrom(name: string, from: string, signal?: AbortSignal): Promise<void>;
  /** A tar of what it holds at one moment; `still` as in CopyOptions, undefined when nobody could write. */
  export(name: string, still: Still | undefined): Promise<Readable>;
  /** Makes a volume of a tar (plain, gzip, zstd), or fills an empty one. "conflict" for one that holds something; "invalid" for what is no tar: nothing is changed then. */
  import(options: VolumeCreateOptions, tar: Readable, signal?: AbortSignal): Promise<Volume>;
  /** Bytes on the disk; -1 for a plug-in's. */
  usage(name: string): Promise<number>;
  /** After a start: mounts that remained, counts. */
  restore(users: ReadonlyMap<string, readonly string[]>): Promise<void>;
}
