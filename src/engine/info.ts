import { readdirSync } from "node:fs";
import { hostname } from "node:os";
import type { SystemInfo } from "../api/types/system.ts";
import type { Containers } from "../containers/containers.ts";
import type { Events } from "../events/events.ts";
import type { Images } from "../images/images.ts";
import type { CgroupFeatures, CgroupTree } from "../kernel/cgroups.ts";
import type { Host } from "../kernel/host.ts";
import { LOG_DRIVERS } from "../logs/drivers.ts";
import type { Remote, RemoteSettings } from "../remote/remote.ts";
import { readCdi } from "../runtime/cdi-specs.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { EngineSettings } from "./engine.ts";
import { VERSION } from "./version.ts";

export interface InfoSources {
  readonly id: string;
  readonly dataRoot: string;
  readonly host: Host;
  readonly cgroups: CgroupTree;
  readonly settings: EngineSettings;
  readonly containers: Containers;
  readonly images: Images;
  readonly snapshots: Snapshots;
  readonly runtime: Runtime;
  readonly events: Events;
  readonly remote: Remote;
}

/** GET /info. Counts are taken now; the rest is known since the start. */
export async function systemInfo(sources: InfoSources): Promise<SystemInfo> {
  const { host, cgroups, settings } = sources;
  return {
    ID: sources.id,
    ...(await counts(sources)),
    ...storage(sources),
    ...limits(cgroups.features),
    IPv4Forwarding: host.ipv4Forwarding,
    Debug: false,
    NFd: readdirSync("/proc/self/fd").length,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: settings.logDriver,
    CgroupDriver: "cgroupfs",
    CgroupVersion: String(cgroups.version),
    NEventsListener: sources.events.listeners,
    ...machine(host),
    ...runtimes(sources.runtime),
    InitBinary: "gantry-init",
    Plugins: {
      Volume: ["local"],
      Network: ["bridge", "host", "null"],
      Authorization: null,
      Log: [...LOG_DRIVERS],
    },
    IndexServerAddress: "https://index.docker.io/v1/",
    ...registries(sources.remote.settings),
    GenericResources: null,
    Labels: [...settings.labels],
    ExperimentalBuild: settings.experimental,
    ServerVersion: VERSION,
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: "",
    ProductLicense: "Apache-2.0",
    SecurityOptions: securityOptions(host, settings),
    DefaultAddressPools: settings.network.defaultAddressPools.map(({ base, size }) => ({ Base: base, Size: size })),
    FirewallBackend: { Driver: settings.network.iptables ? "nftables" : "none", Info: [] },
    DiscoveredDevices: [...readCdi(settings.cdiFolders).devices.keys()].map((ID) => ({ Source: "cdi", ID })),
    CDISpecDirs: [...settings.cdiFolders],
    Containerd: {},
    Warnings: warnings(cgroups.features, host),
  };
}

async function counts({ containers, images }: InfoSources) {
  const [all, known] = await Promise.all([
    containers.list({ all: true, size: false, filters: {} }),
    images.list({ all: true, filters: {}, sharedSize: false, digests: false, manifests: false }),
  ]);
  const running = all.filter(({ State }) => State === "running").length;
  const paused = all.filter(({ State }) => State === "paused").length;
  return {
    Containers: all.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: all.length - running - paused,
    Images: known.length,
  };
}

function storage({ snapshots, dataRoot }: InfoSources) {
  const driver = snapshots.driver === "overlay" ? "overlay2" : "vfs";
  return { Driver: driver, DriverStatus: [["Gantry snapshots", snapshots.driver]], DockerRootDir: dataRoot };
}

function limits(features: CgroupFeatures) {
  return {
    MemoryLimit: features.memoryLimit,
    SwapLimit: features.swapLimit,
    KernelMemoryTCP: features.kernelMemoryTcp,
    CpuCfsPeriod: features.cpuCfs,
    CpuCfsQuota: features.cpuCfs,
    CPUShares: features.cpuShares,
    CPUSet: features.cpuset,
    PidsLimit: features.pidsLimit,
    OomKillDisable: features.oomKillDisable,
  };
}

function machine(host: Host) {
  return {
    KernelVersion: host.kernelVersion,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.operatingSystemVersion,
    OSType: "linux",
    Architecture: host.machine,
    NCPU: host.cpus,
    MemTotal: host.memory,
    Name: hostname(),
  };
}

function runtimes({ runtimes: found }: Runtime) {
  const first = found[0];
  const commit = { ID: first?.version ?? "", Expected: first?.version ?? "" };
  return {
    Runtimes: Object.fromEntries(found.map(({ name, path }) => [name, { path }])),
    DefaultRuntime: first?.name ?? "",
    RuncCommit: commit,
    ContainerdCommit: { ID: "", Expected: "" },
    InitCommit: { ID: VERSION, Expected: VERSION },
  };
}

function registries({ mirrors, insecureRegistries, httpProxy, httpsProxy, noProxy }: RemoteSettings) {
  const insecure = [...insecureRegistries, "::1/128", "127.0.0.0/8"];
  const index = (Name: string, own: readonly string[], Secure: boolean) => ({
    Name,
    Mirrors: [...own],
    Secure,
    Official: Name === "docker.io",
  });
  const named = insecure.filter((entry) => !entry.includes("/")).map((name) => [name, index(name, [], false)]);
  return {
    RegistryConfig: {
      IndexConfigs: { "docker.io": index("docker.io", mirrors, true), ...Object.fromEntries(named) },
      InsecureRegistryCIDRs: insecure.filter((entry) => entry.includes("/")),
      Mirrors: [...mirrors],
    },
    HttpProxy: masked(httpProxy),
    HttpsProxy: masked(httpsProxy),
    NoProxy: noProxy ?? "",
  };
}

/** Whoever may ask for `info` need not know the proxy's password. */
function masked(proxy = ""): string {
  return proxy.replace(/\/\/[^@/]*@/, "//xxxxx:xxxxx@");
}

function securityOptions(host: Host, settings: EngineSettings): string[] {
  const profile = settings.seccompProfile ?? "builtin";
  return [
    ...(host.appArmor ? ["name=apparmor"] : []),
    ...(host.seccomp ? [`name=seccomp,profile=${profile}`] : []),
    ...(settings.noNewPrivileges ? ["name=no-new-privileges"] : []),
    "name=cgroupns",
  ];
}

/** What the kernel lacks, in Docker's words: the docker CLI prints them below `docker info`. */
function warnings(features: CgroupFeatures, host: Host): string[] {
  const lacking: readonly [boolean, string][] = [
    [features.memoryLimit, "WARNING: No memory limit support"],
    [features.swapLimit, "WARNING: No swap limit support"],
    [features.cpuCfs, "WARNING: No cpu cfs quota support"],
    [features.cpuShares, "WARNING: No cpu shares support"],
    [features.cpuset, "WARNING: No cpuset support"],
    [features.pidsLimit, "WARNING: No pids limit support"],
    [host.ipv4Forwarding, "WARNING: IPv4 forwarding is disabled"],
  ];
  return lacking.filter(([present]) => !present).map(([, text]) => text);
}
