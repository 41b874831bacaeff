// Wire types of the Docker Engine API v1.51: systems. Field names are the API's; absent and undefined mean the same.
import type { ContainerSummary } from "./container.ts";
import type { BuildCache, ImageSummary } from "./image.ts";
import type { Volume } from "./volume.ts";

export interface SystemVersion {
  Platform: {
    Name?: string | undefined;
  };
  Components: Array<{
    Name?: string | undefined;
    Version?: string | undefined;
    Details?: Record<string, unknown> | null | undefined;
  }>;
  Version: string;
  ApiVersion: string;
  MinAPIVersion: string;
  GitCommit: string;
  GoVersion: string;
  Os: string;
  Arch: string;
  KernelVersion: string;
  Experimental: boolean;
  BuildTime: string;
}

export interface SystemInfo {
  ID: string;
  Containers: number;
  ContainersRunning: number;
  ContainersPaused: number;
  ContainersStopped: number;
  Images: number;
  Driver: string;
  DriverStatus: string[][];
  DockerRootDir: string;
  Plugins: PluginsInfo;
  MemoryLimit: boolean;
  SwapLimit: boolean;
  KernelMemoryTCP: boolean;
  CpuCfsPeriod: boolean;
  CpuCfsQuota: boolean;
  CPUShares: boolean;
  CPUSet: boolean;
  PidsLimit: boolean;
  OomKillDisable: boolean;
  IPv4Forwarding: boolean;
  Debug: boolean;
  NFd: number;
  NGoroutines: number;
  SystemTime: string;
  LoggingDriver: string;
  CgroupDriver: string;
  CgroupVersion: string;
  NEventsListener: number;
  KernelVersion: string;
  OperatingSystem: string;
  OSVersion: string;
  OSType: string;
  Architecture: string;
  NCPU: number;
  MemTotal: number;
  IndexServerAddress: string;
  RegistryConfig: RegistryServiceConfig;
  GenericResources: GenericResources | null;
  HttpProxy: string;
  HttpsProxy: string;
  NoProxy: string;
  Name: string;
  Labels: string[];
  ExperimentalBuild: boolean;
  ServerVersion: string;
  Runtimes: Record<string, Runtime>;
  DefaultRuntime: string;
  Swarm: unknown;
  LiveRestoreEnabled: boolean;
  Isolation: string;
  InitBinary: string;
  ContainerdCommit: Commit;
  RuncCommit: Commit;
  InitCommit: Commit;
  SecurityOptions: string[];
  ProductLicense: string;
  DefaultAddressPools: Array<{
    Base?: string | undefined;
    Size?: number | undefined;
  }>;
  FirewallBackend: FirewallInfo;
  DiscoveredDevices: DeviceInfo[];
  Warnings: string[];
  CDISpecDirs: string[];
  Containerd: ContainerdInfo;
}

export interface ContainerdInfo {
  Address?: string | undefined;
  Namespaces?:
    | {
        Containers?: string | undefined;
        Plugins?: string | undefined;
      }
    | undefined;
}

export interface FirewallInfo {
  Driver?: string | undefined;
  Info?: string[][] | undefined;
}

export interface PluginsInfo {
  Volume?: string[] | undefined;
  Network?: string[] | undefined;
  Authorization?: string[] | null | undefined;
  Log?: string[] | undefined;
}

export interface RegistryServiceConfig {
  InsecureRegistryCIDRs?: string[] | undefined;
  IndexConfigs?: Record<string, IndexInfo> | undefined;
  Mirrors?: string[] | undefined;
}

export interface IndexInfo {
  Name?: string | undefined;
  Mirrors?: string[] | undefined;
  Secure?: boolean | undefined;
  Official?: boolean | undefined;
}

export interface Runtime {
  path?: string | undefined;
  runtimeArgs?: string[] | null | undefined;
  status?: Record<string, string> | null | undefined;
}

export interface Commit {
  ID?: string | undefined;
}

export interface DeviceInfo {
  Source?: string | undefined;
  ID?: string | undefined;
}

export interface EventActor {
  ID: string;
  Attributes: Record<string, string>;
}

export interface EventMessage {
  Type: string;
  Action: string;
  Actor: EventActor;
  scope: string;
  time: number;
  timeNano: number;
}

export interface ErrorResponse {
  message: string;
}

export interface IDResponse {
  Id: string;
}

export interface Platform {
  Architecture?: string | undefined;
  OS?: string | undefined;
}

export type GenericResources = Array<{
  NamedResourceSpec?:
    | {
        Kind?: string | undefined;
        Value?: string | undefined;
      }
    | undefined;
  DiscreteResourceSpec?:
    | {
        Kind?: string | undefined;
        Value?: number | undefined;
      }
    | undefined;
}>;

/** GET /system/df. Sizes in bytes. */
export interface DiskUsage {
  LayersSize: number;
  Images: ImageSummary[] | null;
  Containers: ContainerSummary[] | null;
  Volumes: Volume[] | null;
  BuildCache: BuildCache[] | null;
  /** Gantry's own: the daemon's registry, where there is one. Bytes of what it shares with images are theirs. */
  Registry?: { Repositories: number; Size: number } | undefined;
}
