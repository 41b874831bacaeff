/**
 * The engine: the composition root and the embedding API.
 *
 * `createEngine(options)` opens the data root (one engine per root), reconciles what an earlier one left, and returns an
 * Engine whose parts are the modules' contracts. `api/` serves it over HTTP; `client/` offers the same shapes over a socket.
 */

import type { Readable } from "node:stream";
import type { NetworkPruneResult } from "../api/types/network.ts";
import type { DiskUsage, SystemInfo, SystemVersion } from "../api/types/system.ts";
import type { Volume, VolumePruneResult } from "../api/types/volume.ts";
import type { Digest } from "../base/digest.ts";
import type { Logger } from "../base/log.ts";
import type { Builder } from "../builder/builder.ts";
import type { Contexts } from "../builder/context/contexts.ts";
import type { Containers } from "../containers/containers.ts";
import type { ContainerSettings } from "../containers/context.ts";
import type { Events } from "../events/events.ts";
import type { Filters, Images } from "../images/images.ts";
import type { NetworkSettings, Networks } from "../networks/networks.ts";
import type { Plugins } from "../plugins/plugins.ts";
import type { Remote, RemoteSettings } from "../remote/remote.ts";
import type { RuntimeSettings } from "../runtime/runtime.ts";
import type { CopyOptions, Volumes } from "../volumes/volumes.ts";
import type { PartialSettings } from "./settings.ts";
import type { ArtifactOptions } from "./volume-artifacts.ts";

export interface EngineOptions {
  /** Default "/var/lib/gantry". */
  readonly dataRoot?: string | undefined;
  /** Default "/run/gantry". */
  readonly execRoot?: string | undefined;
  readonly logger?: Logger | undefined;
  /** What the daemon's flags and daemon.json can set of the engine; every one has Docker's default. */
  readonly settings?: PartialSettings | undefined;
}

export interface EngineSettings extends ContainerSettings {
  readonly storageDriver: "overlay" | "copy" | undefined;
  readonly defaultRuntime: string | undefined;
  /** Name → path of further runtimes. */
  readonly runtimes: Readonly<
    Record<string, { readonly path: string; readonly runtimeArgs?: readonly string[] | undefined }>
  >;
  /** Seconds that a call of a runtime may take. */
  readonly runtimeTimeout: number;
  readonly selinuxEnabled: boolean;
  /** Instead of Docker's folders of plug-ins. */
  readonly pluginFolders: readonly string[] | undefined;
  readonly labels: readonly string[];
  readonly hostGatewayIps: readonly string[];
  readonly experimental: boolean;
  /** Seconds given to containers when gantryd is told to stop them. */
  readonly shutdownTimeout: number;
  /** Bytes that builds may keep beyond what images have. */
  readonly buildCacheLimit: number;
  readonly network: NetworkSettings;
  readonly remote: RemoteSettings;
}

export interface Engine {
  readonly containers: Containers;
  readonly images: Images;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly builder: Builder;
  readonly buildContexts: Contexts;
  readonly events: Events;
  readonly remote: Remote;
  readonly plugins: Plugins;
  readonly system: {
    info(): Promise<SystemInfo>;
    version(): SystemVersion;
    /** Takes up other runtimes; see `Runtime.configure`. */
    configureRuntimes(settings: RuntimeSettings): Promise<void>;
    /** `types`: "container", "image", "volume", "build-cache"; empty: all. */
    diskUsage(types: readonly string[]): Promise<DiskUsage>;
  };
  /** Volume and network prune know what containers use, so they are the engine's. */
  pruneVolumes(filters: Filters): Promise<VolumePruneResult>;
  pruneNetworks(filters: Filters): Promise<NetworkPruneResult>;
  removeVolume(name: string, force: boolean): Promise<void>;
  /** A clone or snapshot; containers that write to the volume stand still for the last moment of it. */
  copyVolume(name: string, options: Omit<CopyOptions, "still">): Promise<Volume>;
  /** A tar of what the volume holds at one moment, which containers stand still for. */
  exportVolume(name: string): Promise<Readable>;
  /** To and from a registry; see volume-artifacts.ts. */
  pushVolume(name: string, reference: string, options: ArtifactOptions): Promise<Digest>;
  pullVolume(reference: string, name: string, options: ArtifactOptions): Promise<Volume>;
  /** Lets go of everything; running containers go on. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>;
}
