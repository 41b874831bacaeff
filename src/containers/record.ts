/** What a container is (its definition, fixed at create) and how it is (its state). Both are frozen values; both are in the database. */
import type { ContainerConfig, Health, HostConfig } from "../api/types/container.ts";
import type { EndpointSettings } from "../api/types/network.ts";
import type { Digest } from "../base/digest.ts";
import { ZERO_TIME } from "../base/time.ts";

export interface Definition {
  /** The image's configuration merged in. */
  readonly config: ContainerConfig;
  /** With defaults filled in. */
  readonly hostConfig: HostConfig;
  /** Network name → wished settings. Empty when the network is another container's. */
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  readonly imageId: Digest;
  /** The image's topmost layer. */
  readonly chainId: Digest | undefined;
  /** Binds, volumes and images; tmpfs mounts are read from `hostConfig`. */
  readonly mounts: readonly MountRecord[];
  readonly platform: string;
}

export interface MountRecord {
  readonly type: "bind" | "volume" | "image";
  /** The volume's, or the image's as it was asked for. */
  readonly name?: string | undefined;
  /** On the host; a volume's folder at the time of create. */
  readonly source: string;
  readonly destination: string;
  /** As written behind the last ":" of `-v`. */
  readonly mode: string;
  readonly writable: boolean;
  readonly propagation: string;
  /** Removed with the container when that is asked for. */
  readonly anonymous?: boolean | undefined;
  /** Do not copy the image's content into the empty volume. */
  readonly noCopy?: boolean | undefined;
  /** Inside the volume or image. */
  readonly subpath?: string | undefined;
  /** The image's topmost layer. */
  readonly chainId?: Digest | undefined;
  /** Make the missing folder on the host, as `-v` does. */
  readonly createSource?: boolean | undefined;
  readonly nonRecursive?: boolean | undefined;
  /** Mounts below a read-only one stay writable. */
  readonly writableBelow?: boolean | undefined;
  /** As it was written: see id-map.ts. */
  readonly idMap?: string | undefined;
}

/** "creating" is seen by nobody but `restore`. */
export type Status = "creating" | "created" | "running" | "paused" | "restarting" | "exited" | "removing" | "dead";

export interface State {
  readonly status: Status;
  /** Of the main process while it runs, otherwise 0. */
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** By the restart policy, since the last start by hand. */
  readonly restartCount: number;
  /** Someone wished it to end: the restart policy leaves it alone. */
  readonly stoppedByHand: boolean;
  /** With `removing`: anonymous volumes go too. */
  readonly removeVolumes: boolean;
  readonly health: Health | undefined;
}

export const INITIAL_STATE: State = Object.freeze({
  status: "creating",
  pid: 0,
  exitCode: 0,
  error: "",
  oomKilled: false,
  startedAt: ZERO_TIME,
  finishedAt: ZERO_TIME,
  restartCount: 0,
  stoppedByHand: false,
  removeVolumes: false,
  health: undefined,
});
