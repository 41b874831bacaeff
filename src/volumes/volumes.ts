/** The volumes module's contract: named places that outlive containers. References are the containers module's; it passes them in. */
import type { Volume, VolumeCreateOptions } from "../api/types/volume.ts";

export interface Volumes {
  /** Creates, or returns the existing one of this name when driver and options agree ("conflict" otherwise). An empty name makes an anonymous volume (64 hex, label com.docker.volume.anonymous). */
  create(options: VolumeCreateOptions): Promise<Volume>;
  /** "not-found": `get <name>: no such volume`. */
  inspect(name: string): Volume;
  list(): Volume[];
  /** Removes it and its data. `inUseBy`: ids of containers that refer to it; any makes a "conflict" ("volume is in use - [ids]") also with force. */
  remove(name: string, options: { readonly force: boolean; readonly inUseBy: readonly string[] }): Promise<void>;
  /** Makes the data reachable (mounts an nfs or tmpfs one) and returns the folder on the host. Counted: pair each with `release`. */
  acquire(name: string, user: string): Promise<string>;
  release(name: string, user: string): Promise<void>;
  /** Copies the image's content at `from` into the empty volume once, with owners, modes, times, xattrs. No effect on a volume that has content. */
  copyUp(name: string, from: string): Promise<void>;
  /** Bytes on the disk. */
  usage(name: string): Promise<number>;
  /** After a start: mounts that remained, counts. */
  restore(users: ReadonlyMap<string, readonly string[]>): Promise<void>;
}
