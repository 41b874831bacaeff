import type { Logger } from "../base/log.ts";
import type { Content } from "../content/content.ts";
import type { Events } from "../events/events.ts";
import type { Images } from "../images/images.ts";
import type { CgroupTree } from "../kernel/cgroups.ts";
import type { Host } from "../kernel/host.ts";
import type { Networks, Sandbox } from "../networks/networks.ts";
import type { Remote } from "../remote/remote.ts";
import type { ContainerMount } from "../runtime/container-mounts.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Store } from "../store/store.ts";
import type { DigestMemo } from "./cache/digests.ts";
import type { CacheMounts } from "./cache/mounts.ts";
import type { StepCache } from "./cache/steps.ts";
import type { FileWorkers } from "./ops/files/workers.ts";

/** What the daemon's flags set of builds; the engine's settings have it all. */
export interface BuilderSettings {
  readonly defaultUlimits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
  /** Bytes. */
  readonly defaultShmSize: number;
  readonly defaultCgroupnsMode: "private" | "host" | undefined;
  readonly cgroupParent: string | undefined;
  readonly seccompProfile: string | undefined;
  readonly dns: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly network: { readonly bridge: string | undefined };
  /** Bytes that builds may keep beyond what images have: layers, cache mounts, contexts. After each build it holds. */
  readonly buildCacheLimit: number;
}

/** The network of a container that runs. */
export interface JoinedNetwork {
  readonly sandbox: Sandbox;
  readonly hostname: string;
  /** Of the container's files that tell about it. */
  readonly mounts: readonly ContainerMount[];
}

/** What the steps work with; one per engine. */
export interface Toolkit {
  readonly store: Store;
  readonly content: Content;
  readonly snapshots: Snapshots;
  readonly images: Images;
  readonly remote: Remote;
  readonly events: Events;
  readonly networks: Networks;
  /** For "container:<name or id>". "not-found", "conflict" for one that does not run. */
  readonly joinNetwork: (container: string) => JoinedNetwork;
  readonly runtime: Runtime;
  readonly cgroups: CgroupTree;
  readonly host: Host;
  readonly settings: BuilderSettings;
  readonly logger: Logger;
  readonly steps: StepCache;
  readonly digests: DigestMemo;
  readonly mounts: CacheMounts;
  readonly workers: FileWorkers;
  /** What finished steps still let go of; a build waits for it at its end. Never rejects. */
  readonly background: Set<Promise<void>>;
}
