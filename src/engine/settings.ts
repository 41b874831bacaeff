import type { NetworkSettings } from "../networks/networks.ts";
import { REMOTE_DEFAULTS } from "../remote/open.ts";
import type { RemoteSettings } from "../remote/remote.ts";
import { CDI_FOLDERS } from "../runtime/cdi-specs.ts";
import type { EngineSettings } from "./engine.ts";

/** dockerd's defaults, where Gantry has no better one. */
const NETWORK: NetworkSettings = {
  bridge: undefined,
  bip: undefined,
  bip6: undefined,
  fixedCidr: undefined,
  fixedCidr6: undefined,
  defaultGateway: undefined,
  defaultGateway6: undefined,
  defaultAddressPools: [],
  ip: "0.0.0.0",
  mtu: 1500,
  icc: true,
  ipForward: true,
  ipForwardNoDrop: false,
  ipMasq: true,
  iptables: true,
  ip6tables: true,
  ipv6: false,
  userlandProxy: true,
  allowDirectRouting: false,
  publishThrough: "forward",
  acceptMark: undefined,
  defaultOptions: {},
};

const DEFAULTS: EngineSettings = {
  storageDriver: undefined,
  defaultRuntime: undefined,
  runtimes: {},
  runtimeTimeout: 120,
  logDriver: "json-file",
  logOptions: {},
  init: false,
  initPath: undefined,
  defaultUlimits: {},
  defaultShmSize: 64 << 20,
  defaultIpcMode: "private",
  defaultCgroupnsMode: undefined,
  cgroupParent: undefined,
  noNewPrivileges: false,
  seccompProfile: undefined,
  cdiFolders: CDI_FOLDERS,
  pluginFolders: undefined,
  selinuxEnabled: false,
  labels: [],
  dns: [],
  dnsOptions: [],
  dnsSearch: [],
  hostGatewayIps: [],
  experimental: false,
  shutdownTimeout: 15,
  buildCacheLimit: 20e9,
  network: NETWORK,
  remote: REMOTE_DEFAULTS,
};

export type PartialSettings = Partial<Omit<EngineSettings, "network" | "remote">> & {
  readonly network?: Partial<NetworkSettings>;
  readonly remote?: Partial<RemoteSettings>;
};

/** The given settings over the defaults; undefined values count as not given. */
export function completeSettings(given: PartialSettings = {}): EngineSettings {
  const { network = {}, remote = {}, ...rest } = given;
  return Object.freeze({
    ...DEFAULTS,
    ...defined(rest),
    network: Object.freeze({ ...NETWORK, ...defined(network) }),
    remote: completeRemote(remote),
  });
}

export function completeRemote(given: Partial<RemoteSettings>): RemoteSettings {
  return Object.freeze({ ...REMOTE_DEFAULTS, ...defined(given) });
}

function defined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}
