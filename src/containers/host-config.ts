import type { HostConfig } from "../api/types/container.ts";
import { fillHostConfig } from "../runtime/host-config-defaults.ts";
import type { Context } from "./context.ts";

/** The wished HostConfig with Docker's defaults, as `inspect` shows it. Call after validation. */
export function completeHostConfig(wished: HostConfig, { settings, runtime, cgroups }: Context): HostConfig {
  const filled = fillHostConfig(wished, {
    shmSize: settings.defaultShmSize,
    ipcMode: settings.defaultIpcMode,
    cgroupnsMode: settings.defaultCgroupnsMode,
    cgroupVersion: cgroups.version,
    runtime: runtime.runtimes[0]?.name ?? "",
  });
  const { Name = "", MaximumRetryCount = 0 } = filled.RestartPolicy ?? {};
  return {
    ...(EMPTY as unknown as HostConfig),
    ...defined(filled),
    NetworkMode: networkMode(wished.NetworkMode, settings.network.bridge),
    RestartPolicy: { Name: Name || "no", MaximumRetryCount },
    LogConfig: logConfig(wished.LogConfig, settings),
  };
}

function networkMode(mode: string | undefined, bridge: string | undefined): string {
  if (mode !== undefined && mode !== "" && mode !== "default") return mode;
  return bridge === "none" ? "none" : "bridge";
}

/** The daemon's options belong to the daemon's driver only. */
function logConfig(
  wished: HostConfig["LogConfig"],
  { logDriver, logOptions }: Context["settings"],
): NonNullable<HostConfig["LogConfig"]> {
  const Type = wished?.Type || logDriver;
  return { Type, Config: { ...(Type === logDriver ? logOptions : {}), ...wished?.Config } };
}

const defined = (values: HostConfig): HostConfig =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null));

/** What a client sees of fields that nobody set. */
const EMPTY = {
  Binds: null,
  ContainerIDFile: "",
  LogConfig: { Type: "", Config: {} },
  NetworkMode: "",
  PortBindings: {},
  RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
  AutoRemove: false,
  VolumeDriver: "",
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: "",
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: "",
  Cgroup: "",
  Links: null,
  OomScoreAdj: 0,
  PidMode: "",
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: "",
  UsernsMode: "",
  ShmSize: 0,
  Runtime: "",
  Isolation: "",
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: "",
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: "",
  CpusetMems: "",
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: null,
  PidsLimit: null,
  Ulimits: [],
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  MaskedPaths: null,
  ReadonlyPaths: null,
};
