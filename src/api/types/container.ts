// Wire types of the Docker Engine API v1.51: containers. Field names are the API's; absent and undefined mean the same.
import type { OCIDescriptor } from "./image.ts";
import type { EndpointSettings } from "./network.ts";

export interface Port {
  IP?: string | undefined;
  PrivatePort: number;
  PublicPort?: number | undefined;
  Type: string;
}

export type MountType = "bind" | "cluster" | "image" | "npipe" | "tmpfs" | "volume";

export interface MountPoint {
  Type: MountType;
  Name: string;
  Source: string;
  Destination: string;
  Driver: string;
  Mode: string;
  RW: boolean;
  Propagation: string;
}

export interface DeviceMapping {
  PathOnHost?: string | undefined;
  PathInContainer?: string | undefined;
  CgroupPermissions?: string | undefined;
}

export interface DeviceRequest {
  Driver?: string | undefined;
  Count?: number | undefined;
  DeviceIDs?: string[] | undefined;
  Capabilities?: string[][] | undefined;
  Options?: Record<string, string> | undefined;
}

export interface ThrottleDevice {
  Path?: string | undefined;
  Rate?: number | undefined;
}

export interface Mount {
  Target?: string | undefined;
  Source?: string | undefined;
  Type?: MountType | undefined;
  ReadOnly?: boolean | undefined;
  Consistency?: string | undefined;
  BindOptions?:
    | {
        Propagation?: string | undefined;
        NonRecursive?: boolean | undefined;
        CreateMountpoint?: boolean | undefined;
        ReadOnlyNonRecursive?: boolean | undefined;
        ReadOnlyForceRecursive?: boolean | undefined;
        /** Gantry's own: `uids=0-1000-1;gids=0-1000-1`. */
        IdMap?: string | undefined;
      }
    | undefined;
  VolumeOptions?:
    | {
        NoCopy?: boolean | undefined;
        Labels?: Record<string, string> | undefined;
        DriverConfig?:
          | {
              Name?: string | undefined;
              Options?: Record<string, string> | undefined;
            }
          | undefined;
        Subpath?: string | undefined;
      }
    | undefined;
  ImageOptions?:
    | {
        Subpath?: string | undefined;
      }
    | undefined;
  TmpfsOptions?:
    | {
        SizeBytes?: number | undefined;
        Mode?: number | undefined;
        Options?: string[][] | undefined;
      }
    | undefined;
}

export interface RestartPolicy {
  Name?: string | undefined;
  MaximumRetryCount?: number | undefined;
}

export interface Resources {
  CpuShares?: number | undefined;
  Memory?: number | undefined;
  CgroupParent?: string | undefined;
  BlkioWeight?: number | undefined;
  BlkioWeightDevice?:
    | Array<{
        Path?: string | undefined;
        Weight?: number | undefined;
      }>
    | undefined;
  BlkioDeviceReadBps?: ThrottleDevice[] | undefined;
  BlkioDeviceWriteBps?: ThrottleDevice[] | undefined;
  BlkioDeviceReadIOps?: ThrottleDevice[] | undefined;
  BlkioDeviceWriteIOps?: ThrottleDevice[] | undefined;
  CpuPeriod?: number | undefined;
  CpuQuota?: number | undefined;
  CpuRealtimePeriod?: number | undefined;
  CpuRealtimeRuntime?: number | undefined;
  CpusetCpus?: string | undefined;
  CpusetMems?: string | undefined;
  Devices?: DeviceMapping[] | undefined;
  DeviceCgroupRules?: string[] | undefined;
  DeviceRequests?: DeviceRequest[] | undefined;
  KernelMemoryTCP?: number | undefined;
  MemoryReservation?: number | undefined;
  MemorySwap?: number | undefined;
  MemorySwappiness?: number | undefined;
  NanoCpus?: number | undefined;
  OomKillDisable?: boolean | undefined;
  Init?: boolean | null | undefined;
  PidsLimit?: number | null | undefined;
  Ulimits?:
    | Array<{
        Name?: string | undefined;
        Soft?: number | undefined;
        Hard?: number | undefined;
      }>
    | undefined;
  CpuCount?: number | undefined;
  CpuPercent?: number | undefined;
  IOMaximumIOps?: number | undefined;
  IOMaximumBandwidth?: number | undefined;
}

export interface HealthConfig {
  Test?: string[] | undefined;
  Interval?: number | undefined;
  Timeout?: number | undefined;
  Retries?: number | undefined;
  StartPeriod?: number | undefined;
  StartInterval?: number | undefined;
  /** Gantry's own: what is done when it becomes unhealthy. "none" (default), "restart", "stop", "kill". */
  OnFailure?: string | undefined;
}

export interface Health {
  Status: string;
  FailingStreak: number;
  Log: HealthcheckResult[];
}

export interface HealthcheckResult {
  Start: string;
  End: string;
  ExitCode: number;
  Output: string;
}

export interface HostConfig extends Resources {
  Binds?: string[] | undefined;
  ContainerIDFile?: string | undefined;
  LogConfig?:
    | {
        Type?: string | undefined;
        Config?: Record<string, string> | undefined;
      }
    | undefined;
  NetworkMode?: string | undefined;
  PortBindings?: PortMap | undefined;
  RestartPolicy?: RestartPolicy | undefined;
  AutoRemove?: boolean | undefined;
  VolumeDriver?: string | undefined;
  VolumesFrom?: string[] | undefined;
  Mounts?: Mount[] | undefined;
  ConsoleSize?: number[] | null | undefined;
  Annotations?: Record<string, string> | undefined;
  CapAdd?: string[] | undefined;
  CapDrop?: string[] | undefined;
  CgroupnsMode?: string | undefined;
  Dns?: string[] | undefined;
  DnsOptions?: string[] | undefined;
  DnsSearch?: string[] | undefined;
  ExtraHosts?: string[] | undefined;
  GroupAdd?: string[] | undefined;
  IpcMode?: string | undefined;
  Cgroup?: string | undefined;
  Links?: string[] | null | undefined;
  OomScoreAdj?: number | undefined;
  PidMode?: string | undefined;
  Privileged?: boolean | undefined;
  PublishAllPorts?: boolean | undefined;
  ReadonlyRootfs?: boolean | undefined;
  SecurityOpt?: string[] | undefined;
  StorageOpt?: Record<string, string> | undefined;
  Tmpfs?: Record<string, string> | undefined;
  UTSMode?: string | undefined;
  UsernsMode?: string | undefined;
  ShmSize?: number | undefined;
  Sysctls?: Record<string, string> | null | undefined;
  Runtime?: string | null | undefined;
  Isolation?: string | undefined;
  MaskedPaths?: string[] | undefined;
  ReadonlyPaths?: string[] | undefined;
}

export interface ContainerConfig {
  Hostname?: string | undefined;
  Domainname?: string | undefined;
  User?: string | undefined;
  AttachStdin?: boolean | undefined;
  AttachStdout?: boolean | undefined;
  AttachStderr?: boolean | undefined;
  ExposedPorts?: Record<string, Record<string, unknown>> | null | undefined;
  Tty?: boolean | undefined;
  OpenStdin?: boolean | undefined;
  StdinOnce?: boolean | undefined;
  Env?: string[] | undefined;
  Cmd?: string[] | null | undefined;
  Healthcheck?: HealthConfig | undefined;
  ArgsEscaped?: boolean | null | undefined;
  Image?: string | undefined;
  Volumes?: Record<string, Record<string, unknown>> | null | undefined;
  WorkingDir?: string | undefined;
  Entrypoint?: string[] | null | undefined;
  NetworkDisabled?: boolean | null | undefined;
  MacAddress?: string | null | undefined;
  OnBuild?: string[] | null | undefined;
  Labels?: Record<string, string> | null | undefined;
  StopSignal?: string | null | undefined;
  StopTimeout?: number | null | undefined;
  Shell?: string[] | null | undefined;
}

export interface NetworkingConfig {
  EndpointsConfig?: Record<string, EndpointSettings> | undefined;
}

export interface NetworkSettings {
  Bridge: string;
  SandboxID: string;
  HairpinMode: boolean;
  LinkLocalIPv6Address: string;
  LinkLocalIPv6PrefixLen: number;
  Ports: PortMap;
  SandboxKey: string;
  SecondaryIPAddresses?: Address[] | null | undefined;
  SecondaryIPv6Addresses?: Address[] | null | undefined;
  EndpointID: string;
  Gateway: string;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  IPAddress: string;
  IPPrefixLen: number;
  IPv6Gateway: string;
  MacAddress: string;
  Networks: Record<string, EndpointSettings>;
}

export interface Address {
  Addr?: string | undefined;
  PrefixLen?: number | undefined;
}

/** Container port ("80/tcp") to host bindings; null: exposed, not published. */
export type PortMap = Record<string, PortBinding[] | null>;

export interface PortBinding {
  HostIp?: string | undefined;
  HostPort?: string | undefined;
}

export interface FilesystemChange {
  Path: string;
  Kind: ChangeType;
}

export type ChangeType = 0 | 1 | 2;

export interface DriverData {
  Name?: string | undefined;
  Data?: Record<string, string> | undefined;
}

export interface ContainerInspect {
  Id: string;
  Created?: string | null | undefined;
  Path: string;
  Args: string[];
  State: ContainerState;
  Image: string;
  ResolvConfPath: string;
  HostnamePath: string;
  HostsPath: string;
  LogPath?: string | null | undefined;
  Name: string;
  RestartCount: number;
  Driver: string;
  Platform: string;
  ImageManifestDescriptor?: OCIDescriptor | undefined;
  MountLabel: string;
  ProcessLabel: string;
  AppArmorProfile: string;
  ExecIDs?: string[] | null | undefined;
  HostConfig: HostConfig;
  GraphDriver: DriverData;
  SizeRw?: number | null | undefined;
  SizeRootFs?: number | null | undefined;
  Mounts: MountPoint[];
  Config: ContainerConfig;
  NetworkSettings: NetworkSettings;
}

export interface ContainerSummary {
  Id: string;
  Names: string[];
  Image: string;
  ImageID: string;
  ImageManifestDescriptor?: OCIDescriptor | null | undefined;
  Command: string;
  Created: number;
  Ports: Port[];
  SizeRw?: number | null | undefined;
  SizeRootFs?: number | null | undefined;
  Labels: Record<string, string>;
  State: string;
  Status: string;
  HostConfig: {
    NetworkMode?: string | undefined;
    Annotations?: Record<string, string> | null | undefined;
  };
  NetworkSettings: {
    Networks?: Record<string, EndpointSettings> | undefined;
  };
  Mounts: MountPoint[];
}

export interface ContainerState {
  Status: string;
  Running: boolean;
  Paused: boolean;
  Restarting: boolean;
  OOMKilled: boolean;
  Dead: boolean;
  Pid: number;
  ExitCode: number;
  Error: string;
  StartedAt: string;
  FinishedAt: string;
  Health?: Health | null | undefined;
}

export interface ContainerCreateResult {
  Id: string;
  Warnings: string[];
}

export interface ContainerUpdateResult {
  Warnings?: string[] | undefined;
}

export interface ContainerStats {
  name?: string | null | undefined;
  id?: string | null | undefined;
  read?: string | undefined;
  preread?: string | undefined;
  pids_stats?: ContainerPidsStats | undefined;
  blkio_stats?: ContainerBlkioStats | undefined;
  num_procs?: number | undefined;
  storage_stats?: ContainerStorageStats | undefined;
  cpu_stats?: ContainerCPUStats | undefined;
  precpu_stats?: ContainerCPUStats | undefined;
  memory_stats?: ContainerMemoryStats | undefined;
  networks?: Record<string, ContainerNetworkStats> | null | undefined;
}

export interface ContainerBlkioStats {
  io_service_bytes_recursive?: ContainerBlkioStatEntry[] | undefined;
  io_serviced_recursive?: ContainerBlkioStatEntry[] | null | undefined;
  io_queue_recursive?: ContainerBlkioStatEntry[] | null | undefined;
  io_service_time_recursive?: ContainerBlkioStatEntry[] | null | undefined;
  io_wait_time_recursive?: ContainerBlkioStatEntry[] | null | undefined;
  io_merged_recursive?: ContainerBlkioStatEntry[] | null | undefined;
  io_time_recursive?: ContainerBlkioStatEntry[] | null | undefined;
  sectors_recursive?: ContainerBlkioStatEntry[] | null | undefined;
}

export interface ContainerBlkioStatEntry {
  major?: number | undefined;
  minor?: number | undefined;
  op?: string | undefined;
  value?: number | undefined;
}

export interface ContainerCPUStats {
  cpu_usage?: ContainerCPUUsage | undefined;
  system_cpu_usage?: number | null | undefined;
  online_cpus?: number | null | undefined;
  throttling_data?: ContainerThrottlingData | undefined;
}

export interface ContainerCPUUsage {
  total_usage?: number | undefined;
  percpu_usage?: number[] | null | undefined;
  usage_in_kernelmode?: number | undefined;
  usage_in_usermode?: number | undefined;
}

export interface ContainerPidsStats {
  current?: number | null | undefined;
  limit?: number | null | undefined;
}

export interface ContainerThrottlingData {
  periods?: number | undefined;
  throttled_periods?: number | undefined;
  throttled_time?: number | undefined;
}

export interface ContainerMemoryStats {
  usage?: number | null | undefined;
  max_usage?: number | null | undefined;
  stats?: Record<string, number> | undefined;
  failcnt?: number | null | undefined;
  limit?: number | null | undefined;
  commitbytes?: number | null | undefined;
  commitpeakbytes?: number | null | undefined;
  privateworkingset?: number | null | undefined;
}

export interface ContainerNetworkStats {
  rx_bytes?: number | undefined;
  rx_packets?: number | undefined;
  rx_errors?: number | undefined;
  rx_dropped?: number | undefined;
  tx_bytes?: number | undefined;
  tx_packets?: number | undefined;
  tx_errors?: number | undefined;
  tx_dropped?: number | undefined;
  endpoint_id?: string | null | undefined;
  instance_id?: string | null | undefined;
}

export interface ContainerStorageStats {
  read_count_normalized?: number | null | undefined;
  read_size_bytes?: number | null | undefined;
  write_count_normalized?: number | null | undefined;
  write_size_bytes?: number | null | undefined;
}

export interface ContainerTop {
  Titles: string[];
  Processes: string[][];
}

export interface ContainerWaitResult {
  StatusCode: number;
  Error: ContainerWaitExitError;
}

export interface ContainerWaitExitError {
  Message?: string | undefined;
}

export interface ProcessConfig {
  privileged?: boolean | undefined;
  user?: string | undefined;
  tty?: boolean | undefined;
  entrypoint?: string | undefined;
  arguments?: string[] | undefined;
}

/** Body of POST /containers/create. */
export interface ContainerCreateRequest extends ContainerConfig {
  HostConfig?: HostConfig | undefined;
  NetworkingConfig?: NetworkingConfig | undefined;
}

/** Body of POST /containers/{id}/update. */
export interface ContainerUpdateRequest extends Resources {
  RestartPolicy?: RestartPolicy | undefined;
}

/** Body of POST /containers/{id}/exec. */
export interface ExecCreateRequest {
  AttachStdin?: boolean | undefined;
  AttachStdout?: boolean | undefined;
  AttachStderr?: boolean | undefined;
  ConsoleSize?: number[] | null | undefined;
  DetachKeys?: string | undefined;
  Tty?: boolean | undefined;
  Env?: string[] | undefined;
  Cmd?: string[] | undefined;
  Privileged?: boolean | undefined;
  User?: string | undefined;
  WorkingDir?: string | undefined;
}

/** Body of POST /exec/{id}/start. */
export interface ExecStartRequest {
  Detach?: boolean | undefined;
  Tty?: boolean | undefined;
  ConsoleSize?: number[] | null | undefined;
}

/** GET /exec/{id}/json. */
export interface ExecInspect {
  ID: string;
  Running: boolean;
  ExitCode: number | null;
  ProcessConfig: ProcessConfig;
  OpenStdin: boolean;
  OpenStderr: boolean;
  OpenStdout: boolean;
  CanRemove: boolean;
  ContainerID: string;
  DetachKeys: string;
  Pid: number;
}

export interface ContainerPruneResult {
  ContainersDeleted: string[] | null;
  /** Bytes. */
  SpaceReclaimed: number;
}
