import type { KeyedLock } from "../base/locks.ts";
import type { Logger } from "../base/log.ts";
import type { Events } from "../events/events.ts";
import type { Images } from "../images/images.ts";
import type { CgroupTree } from "../kernel/cgroups.ts";
import type { Host } from "../kernel/host.ts";
import type { Logs } from "../logs/logs.ts";
import type { Networks } from "../networks/networks.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Paths } from "../store/paths.ts";
import type { Store } from "../store/store.ts";
import type { Volumes } from "../volumes/volumes.ts";
import type { Execs } from "./exec-registry.ts";
import type { Registry } from "./registry.ts";
import type { RootfsMounts } from "./rootfs-mounts.ts";

/** What the daemon's flags set of containers; the engine's settings extend it. */
export interface ContainerSettings {
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly init: boolean;
  readonly initPath: string | undefined;
  readonly defaultUlimits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
  /** Bytes. */
  readonly defaultShmSize: number;
  readonly defaultIpcMode: "private" | "shareable";
  readonly defaultCgroupnsMode: "private" | "host" | undefined;
  readonly cgroupParent: string | undefined;
  readonly noNewPrivileges: boolean;
  readonly seccompProfile: string | undefined;
  /** Folders of CDI specifications; the later goes before. */
  readonly cdiFolders: readonly string[];
  readonly dns: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly network: { readonly bridge: string | undefined };
}

/** What the operations on containers need; one per engine. */
export interface Context {
  readonly store: Store;
  readonly paths: Paths;
  readonly images: Images;
  readonly snapshots: Snapshots;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly logs: Logs;
  readonly runtime: Runtime;
  readonly events: Events;
  readonly settings: ContainerSettings;
  readonly logger: Logger;
  readonly host: Host;
  readonly cgroups: CgroupTree;
  readonly registry: Registry;
  /** By container id: see the contract. */
  readonly locks: KeyedLock;
  readonly rootfs: RootfsMounts;
  readonly execs: Execs;
  /** Background work that `dispose` waits for. */
  readonly background: Set<Promise<unknown>>;
  /** True once the engine is being let go of: nothing is started any more. */
  readonly closing: () => boolean;
}
