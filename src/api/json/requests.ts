/** The schemas of request bodies. */
import type * as Wire from "../types/container.ts";
import type { EndpointIPAMConfig, EndpointSettings, IPAM, IPAMConfig, NetworkCreateRequest } from "../types/network.ts";
import type { VolumeCopyRequest, VolumeCreateOptions } from "../types/volume.ts";
import {
  anything,
  boolean,
  type Fields,
  int64,
  list,
  map,
  nullable,
  type Schema,
  string,
  stringOrList,
  struct,
  uint16,
  uint32,
  word,
} from "./schema.ts";

const strings = list(string);
const labels = map(string);
/** Go's map[string]struct{}. */
const set = map(struct<Record<string, unknown>>("struct {}", {})) as Schema<Record<string, Record<string, unknown>>>;

const health = struct<Wire.HealthConfig>("HealthcheckConfig", {
  Test: strings,
  Interval: int64,
  Timeout: int64,
  Retries: int64,
  StartPeriod: int64,
  StartInterval: int64,
  OnFailure: string,
});

const containerConfigFields: Fields<Wire.ContainerConfig> = {
  Hostname: string,
  Domainname: string,
  User: string,
  AttachStdin: boolean,
  AttachStdout: boolean,
  AttachStderr: boolean,
  ExposedPorts: set,
  Tty: boolean,
  OpenStdin: boolean,
  StdinOnce: boolean,
  Env: strings,
  Cmd: stringOrList,
  Healthcheck: health,
  ArgsEscaped: boolean,
  Image: string,
  Volumes: set,
  WorkingDir: string,
  Entrypoint: stringOrList,
  NetworkDisabled: boolean,
  MacAddress: string,
  OnBuild: strings,
  Labels: labels,
  StopSignal: string,
  StopTimeout: int64,
  Shell: stringOrList,
};

const throttle = list(struct<Wire.ThrottleDevice>("ThrottleDevice", { Path: string, Rate: int64 }));

const resourceFields: Fields<Wire.Resources> = {
  CpuShares: int64,
  Memory: int64,
  CgroupParent: string,
  BlkioWeight: uint16,
  BlkioWeightDevice: list(struct("WeightDevice", { Path: string, Weight: uint16 })),
  BlkioDeviceReadBps: throttle,
  BlkioDeviceWriteBps: throttle,
  BlkioDeviceReadIOps: throttle,
  BlkioDeviceWriteIOps: throttle,
  CpuPeriod: int64,
  CpuQuota: int64,
  CpuRealtimePeriod: int64,
  CpuRealtimeRuntime: int64,
  CpusetCpus: string,
  CpusetMems: string,
  Devices: list(
    struct<Wire.DeviceMapping>("DeviceMapping", {
      PathOnHost: string,
      PathInContainer: string,
      CgroupPermissions: string,
    }),
  ),
  DeviceCgroupRules: strings,
  DeviceRequests: list(
    struct<Wire.DeviceRequest>("DeviceRequest", {
      Driver: string,
      Count: int64,
      DeviceIDs: strings,
      Capabilities: list(strings),
      Options: labels,
    }),
  ),
  KernelMemoryTCP: int64,
  MemoryReservation: int64,
  MemorySwap: int64,
  MemorySwappiness: int64,
  NanoCpus: int64,
  OomKillDisable: boolean,
  Init: boolean,
  PidsLimit: int64,
  Ulimits: list(struct("Ulimit", { Name: string, Soft: int64, Hard: int64 })),
  CpuCount: int64,
  CpuPercent: int64,
  IOMaximumIOps: int64,
  IOMaximumBandwidth: int64,
};

const restartPolicy = struct<Wire.RestartPolicy>("RestartPolicy", { Name: string, MaximumRetryCount: int64 });

const mount = struct<Wire.Mount>("Mount", {
  Target: string,
  Source: string,
  Type: word<Wire.MountType>(),
  ReadOnly: boolean,
  Consistency: string,
  BindOptions: struct("BindOptions", {
    Propagation: string,
    NonRecursive: boolean,
    CreateMountpoint: boolean,
    ReadOnlyNonRecursive: boolean,
    ReadOnlyForceRecursive: boolean,
    IdMap: string,
  }),
  VolumeOptions: struct("VolumeOptions", {
    NoCopy: boolean,
    Labels: labels,
    DriverConfig: struct("Driver", { Name: string, Options: labels }),
    Subpath: string,
  }),
  ImageOptions: struct("ImageOptions", { Subpath: string }),
  TmpfsOptions: struct("TmpfsOptions", { SizeBytes: int64, Mode: uint32, Options: list(strings) }),
});

const hostConfigFields: Fields<Wire.HostConfig> = {
  ...resourceFields,
  Binds: strings,
  ContainerIDFile: string,
  LogConfig: struct("LogConfig", { Type: string, Config: labels }),
  NetworkMode: string,
  PortBindings: map(nullable(list(struct<Wire.PortBinding>("PortBinding", { HostIp: string, HostPort: string })))),
  RestartPolicy: restartPolicy,
  AutoRemove: boolean,
  VolumeDriver: string,
  VolumesFrom: strings,
  Mounts: list(mount),
  ConsoleSize: list(int64),
  Annotations: labels,
  CapAdd: stringOrList,
  CapDrop: stringOrList,
  CgroupnsMode: string,
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  GroupAdd: strings,
  IpcMode: string,
  Cgroup: string,
  Links: strings,
  OomScoreAdj: int64,
  PidMode: string,
  Privileged: boolean,
  PublishAllPorts: boolean,
  ReadonlyRootfs: boolean,
  SecurityOpt: strings,
  StorageOpt: labels,
  Tmpfs: labels,
  UTSMode: string,
  UsernsMode: string,
  ShmSize: int64,
  Sysctls: labels,
  Runtime: string,
  Isolation: string,
  MaskedPaths: strings,
  ReadonlyPaths: strings,
};

const hostConfig = struct<Wire.HostConfig>("HostConfig", hostConfigFields);

/** The fields of a container that a request may set. */
export const CONTAINER_FIELDS = Object.freeze({
  Config: Object.keys(containerConfigFields),
  HostConfig: Object.keys(hostConfigFields),
});

const endpointIpam = struct<EndpointIPAMConfig>("EndpointIPAMConfig", {
  IPv4Address: string,
  IPv6Address: string,
  LinkLocalIPs: strings,
});

const endpointSettings = struct<EndpointSettings>("EndpointSettings", {
  IPAMConfig: endpointIpam,
  Links: strings,
  MacAddress: string,
  Aliases: strings,
  DriverOpts: labels,
  GwPriority: int64,
  NetworkID: string,
  EndpointID: string,
  Gateway: string,
  IPAddress: string,
  IPPrefixLen: int64,
  IPv6Gateway: string,
  GlobalIPv6Address: string,
  GlobalIPv6PrefixLen: int64,
  DNSNames: strings,
});

export const containerConfig = struct<Wire.ContainerConfig>("Config", containerConfigFields);

export const containerCreate = struct<Wire.ContainerCreateRequest>("CreateRequest", {
  ...containerConfigFields,
  HostConfig: hostConfig,
  NetworkingConfig: struct("NetworkingConfig", { EndpointsConfig: map(endpointSettings) }),
});

export const containerUpdate = struct<Wire.ContainerUpdateRequest>("UpdateConfig", {
  ...resourceFields,
  RestartPolicy: restartPolicy,
});

export const execCreate = struct<Wire.ExecCreateRequest>("ExecOptions", {
  AttachStdin: boolean,
  AttachStdout: boolean,
  AttachStderr: boolean,
  ConsoleSize: list(int64),
  DetachKeys: string,
  Tty: boolean,
  Env: strings,
  Cmd: strings,
  Privileged: boolean,
  User: string,
  WorkingDir: string,
});

export const execStart = struct<Wire.ExecStartRequest>("ExecStartOptions", {
  Detach: boolean,
  Tty: boolean,
  ConsoleSize: list(int64),
});

const ipam = struct<IPAM>("IPAM", {
  Driver: string,
  Config: list(
    struct<IPAMConfig>("IPAMConfig", { Subnet: string, IPRange: string, Gateway: string, AuxiliaryAddresses: labels }),
  ),
  Options: labels,
});

export const networkCreate = struct<NetworkCreateRequest>("CreateRequest", {
  Name: string,
  Driver: string,
  Scope: string,
  Internal: boolean,
  Attachable: boolean,
  Ingress: boolean,
  ConfigOnly: boolean,
  ConfigFrom: struct("ConfigReference", { Network: string }),
  IPAM: ipam,
  EnableIPv4: boolean,
  EnableIPv6: boolean,
  Options: labels,
  Labels: labels,
});

export interface NetworkConnectRequest {
  Container?: string | undefined;
  EndpointConfig?: EndpointSettings | undefined;
}

export const networkConnect = struct<NetworkConnectRequest>("ConnectOptions", {
  Container: string,
  EndpointConfig: endpointSettings,
});

export interface NetworkDisconnectRequest {
  Container?: string | undefined;
  Force?: boolean | undefined;
}

export const networkDisconnect = struct<NetworkDisconnectRequest>("DisconnectOptions", {
  Container: string,
  Force: boolean,
});

export const volumeCreate = struct<VolumeCreateOptions>("CreateOptions", {
  Name: string,
  Driver: string,
  DriverOpts: labels,
  Labels: labels,
  ClusterVolumeSpec: anything,
});

export const volumeCopy = struct<VolumeCopyRequest>("CopyRequest", { Name: string, Snapshot: boolean, Labels: labels });
