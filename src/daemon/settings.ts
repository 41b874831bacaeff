/** The configuration as the engine's settings. What is not set is left to the engine's defaults. */
import { EngineError } from "../base/errors.ts";
import { parseSize } from "../base/sizes.ts";
import type { EngineSettings } from "../engine/engine.ts";
import type { PartialSettings } from "../engine/settings.ts";
import type { NetworkSettings } from "../networks/networks.ts";
import type { Configuration } from "./configuration.ts";
import { remoteSettings } from "./registries.ts";

/** Throws "invalid" for a storage driver that we don't know. */
export function engineSettings(
  configuration: Configuration,
  env: Readonly<Record<string, string | undefined>> = {},
): PartialSettings {
  const text = (key: string) => configuration.text(key);
  const flag = (key: string) => configuration.flag(key);
  return defined({
    storageDriver: storageDriver(text("storage-driver")),
    defaultRuntime: text("default-runtime"),
    runtimes: configuration.runtimes,
    runtimeTimeout: configuration.number("runtime-timeout"),
    logDriver: text("log-driver"),
    logOptions: configuration.has("log-opts") ? logOptions(configuration) : undefined,
    init: flag("init"),
    initPath: text("init-path"),
    defaultUlimits: configuration.ulimits,
    defaultShmSize: configuration.number("default-shm-size"),
    defaultIpcMode: text("default-ipc-mode") as EngineSettings["defaultIpcMode"] | undefined,
    defaultCgroupnsMode: text("default-cgroupns-mode") as EngineSettings["defaultCgroupnsMode"],
    cgroupParent: text("cgroup-parent"),
    noNewPrivileges: flag("no-new-privileges"),
    seccompProfile: text("seccomp-profile") === "builtin" ? undefined : text("seccomp-profile"),
    cdiFolders: cdiFolders(configuration),
    pluginFolders: configuration.has("plugin-dirs") ? configuration.list("plugin-dirs") : undefined,
    labels: configuration.list("labels"),
    dns: configuration.list("dns"),
    dnsOptions: configuration.list("dns-opts"),
    dnsSearch: configuration.list("dns-search"),
    hostGatewayIps: configuration.list("host-gateway-ips").flatMap((value) => value.split(",")),
    experimental: flag("experimental"),
    shutdownTimeout: configuration.number("shutdown-timeout"),
    buildCacheLimit: buildCacheLimit(configuration.raw("builder")),
    remote: remoteSettings(configuration, env),
    network: defined({
      bridge: text("bridge"),
      bip: text("bip"),
      bip6: text("bip6"),
      fixedCidr: text("fixed-cidr"),
      fixedCidr6: text("fixed-cidr-v6"),
      defaultGateway: text("default-gateway"),
      defaultGateway6: text("default-gateway-v6"),
      defaultAddressPools: configuration.addressPools,
      ip: text("ip"),
      mtu: configuration.number("mtu") === 0 ? undefined : configuration.number("mtu"),
      icc: flag("icc"),
      ipForward: flag("ip-forward"),
      ipForwardNoDrop: flag("ip-forward-no-drop"),
      // Masquerading is a firewall rule.
      ipMasq: flag("iptables") === false ? false : flag("ip-masq"),
      iptables: flag("iptables"),
      ip6tables: flag("ip6tables"),
      ipv6: flag("ipv6"),
      userlandProxy: flag("userland-proxy"),
      allowDirectRouting: flag("allow-direct-routing"),
      publishThrough: text("publish-through") as NetworkSettings["publishThrough"] | undefined,
      acceptMark: text("bridge-accept-fwmark"),
      defaultOptions: configuration.networkOptions,
    }),
  });
}

/** Docker's names for drivers that do what ours do. */
const STORAGE_DRIVERS: Readonly<Record<string, EngineSettings["storageDriver"]>> = {
  overlay: "overlay",
  overlay2: "overlay",
  overlayfs: "overlay",
  copy: "copy",
  vfs: "copy",
  native: "copy",
};

/** Undefined: the usual ones. None where the feature is switched off. */
function cdiFolders(configuration: Configuration): readonly string[] | undefined {
  if (String(configuration.map("features").cdi ?? true) === "false") return [];
  return configuration.has("cdi-spec-dirs") ? configuration.list("cdi-spec-dirs") : undefined;
}

function storageDriver(name: string | undefined): EngineSettings["storageDriver"] {
  if (name === undefined) return undefined;
  const driver = STORAGE_DRIVERS[name];
  if (driver === undefined)
    throw new EngineError("invalid", `driver not supported: ${name}`, {
      hint: "Use overlay2 or vfs, or leave --storage-driver out.",
    });
  return driver;
}

/** Numbers and booleans are written without quotes by some. */
function logOptions(configuration: Configuration): Record<string, string> {
  return Object.fromEntries(Object.entries(configuration.map("log-opts")).map(([key, value]) => [key, String(value)]));
}

/** Of `{"gc": {"enabled": true, "defaultKeepStorage": "20GB"}}`, or of `reservedSpace`, its later name. Throws "invalid" for another shape. */
function buildCacheLimit(builder: unknown): number | undefined {
  const { gc = {} } = jsonObject(builder ?? {}, "builder");
  const { enabled = true, defaultKeepStorage, reservedSpace } = jsonObject(gc, "builder.gc");
  if (enabled === false) return Number.MAX_SAFE_INTEGER;
  const limit = defaultKeepStorage ?? reservedSpace;
  if (limit === undefined) return undefined;
  const bytes = typeof limit === "number" ? limit : parseSize(String(limit));
  if (bytes !== undefined && bytes >= 0) return bytes;
  throw new EngineError("invalid", `builder.gc.defaultKeepStorage: invalid size: ${JSON.stringify(limit)}`, {
    hint: 'Write a size such as "20GB".',
  });
}

function jsonObject(value: unknown, key: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new EngineError("invalid", `${key}: expected an object, found ${JSON.stringify(value)}`);
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
