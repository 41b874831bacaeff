import { join } from "node:path";
import type { ContainerConfig, HostConfig } from "../api/types/container.ts";
import { type Host, mayRaiseLimits } from "../kernel/host.ts";
import { appArmorProfile } from "./apparmor.ts";
import { capabilitySets, resolveCapabilities } from "./capabilities.ts";
import { withCdi } from "./cdi-edits.ts";
import { readCdi } from "./cdi-specs.ts";
import { arrangeMounts, type ContainerMount, rootPropagation, specMount, tmpfsMounts } from "./container-mounts.ts";
import { defaultMounts, type ShmSource } from "./default-mounts.ts";
import { requestedCdi } from "./device-requests.ts";
import { allDevices, type Devices, requestedDevices } from "./devices.ts";
import { type NamespaceChoices, specNamespaces } from "./namespaces.ts";
import { environment, specUser } from "./process.ts";
import { MASKED_PATHS, READONLY_PATHS } from "./protected-paths.ts";
import { type ResourceSupport, specResources } from "./resources.ts";
import { specRlimits, type Ulimit } from "./rlimits.ts";
import { defaultSeccomp, parseSeccompProfile } from "./seccomp.ts";
import { BPF_ANNOTATION, defaultBpf } from "./seccomp-bpf.ts";
import { parseSecurityOptions, type SecurityOptions } from "./security-options.ts";
import type { Linux, Process, Seccomp, Spec, SpecMount } from "./spec-types.ts";
import { specSysctls } from "./sysctls.ts";
import type { ResolvedUser } from "./users.ts";

/** Everything that decides a container's config.json. Wire values have Docker's meaning; the rest is resolved by the caller. */
export interface SpecInput {
  /** The image's configuration already merged in. */
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly hostname: string;
  /** The mounted root file system. */
  readonly rootfs: string;
  readonly user: ResolvedUser;
  /** Binds, volumes, and the files of the network (/etc/hosts …). tmpfs mounts are read from `hostConfig`. */
  readonly mounts: readonly ContainerMount[];
  readonly namespaces: NamespaceChoices;
  /** Whether the network namespace is this container's alone ("none", a bridge), not the host's or another container's. */
  readonly ownNetwork: boolean;
  readonly shm: ShmSource;
  /** From the root of the cgroup tree: see `cgroupPath`. */
  readonly cgroup: string;
  readonly resourceSupport: ResourceSupport;
  readonly defaults: SpecDefaults;
  readonly host: Host;
  /** What the container gets less than it asked for. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** The daemon's settings. */
export interface SpecDefaults {
  readonly ulimits: Readonly<Record<string, Ulimit>>;
  readonly noNewPrivileges: boolean;
  /** A profile's text, "unconfined", or undefined for the built-in one. */
  readonly seccompProfile: string | undefined;
  readonly init: boolean;
  /** On the host; bound to /sbin/docker-init in containers that want it. Default: gantry-init. */
  readonly initPath: string | undefined;
  /** Where specifications of devices by name are; default CDI's own folders. */
  readonly cdiFolders?: readonly string[] | undefined;
}

const INIT_TARGET = "/sbin/docker-init";
const INIT_PATH = join(import.meta.dirname, "../../native/build/gantry-init");

/** Pure but for looks at the host's /dev and its CDI specifications. Throws "invalid" with Docker's texts for what cannot be given. */
export function buildSpec(input: SpecInput): Spec {
  const devices = requestedCdi(input.hostConfig.DeviceRequests ?? [], () => readCdi(input.defaults.cdiFolders));
  return withCdi(basicSpec(input), devices);
}

function basicSpec(input: SpecInput): Spec {
  const { hostConfig, host } = input;
  const privileged = hostConfig.Privileged === true;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const capabilities = resolveCapabilities({
    add: hostConfig.CapAdd ?? [],
    drop: hostConfig.CapDrop ?? [],
    privileged,
    available: host.capabilities,
  });
  const devices = privileged ? allDevices() : requestedDevices(hostConfig.Devices ?? []);
  const propagation = rootPropagation(input.mounts);
  const seccomp = seccompFilter(input, capabilities, security);
  return {
    ociVersion: "1.0.2",
    process: specProcess(input, capabilities, security),
    root: { path: input.rootfs, ...(hostConfig.ReadonlyRootfs ? { readonly: true } : {}) },
    ...(input.namespaces.uts === "new" ? { hostname: input.hostname } : {}),
    mounts: specMounts(input, security),
    ...annotations(hostConfig, seccomp.bpf),
    linux: {
      namespaces: specNamespaces(input.namespaces),
      cgroupsPath: input.cgroup,
      resources: specResources(hostConfig, input.resourceSupport, { rules: devices.rules, privileged }),
      ...linuxDevices(devices),
      ...linuxSysctls(input),
      ...(seccomp.profile === undefined ? {} : { seccomp: seccomp.profile }),
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
      ...protectedPaths(hostConfig, security),
    },
  };
}

function wantsInit({ hostConfig, defaults, namespaces }: SpecInput): boolean {
  return (hostConfig.Init ?? defaults.init) && namespaces.pid === "new";
}

function specProcess(input: SpecInput, capabilities: readonly string[], security: SecurityOptions): Process {
  const { config, hostConfig, host, defaults } = input;
  const tty = config.Tty === true;
  const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const appArmor = appArmorProfile(input.hostConfig, input.host);
  const noNewPrivileges = security.noNewPrivileges ?? (hostConfig.Privileged ? false : defaults.noNewPrivileges);
  const rlimits = specRlimits({
    ulimits: hostConfig.Ulimits ?? [],
    defaults: defaults.ulimits,
    host,
    warn: input.warn ?? (() => {}),
  });
  return {
    ...(tty ? { terminal: true } : {}),
    user: specUser(input.user),
    args: wantsInit(input) ? [INIT_TARGET, "--", ...command] : command,
    env: environment({ hostname: input.hostname, tty, env: config.Env ?? [], user: input.user }),
    cwd: config.WorkingDir || "/",
    capabilities: capabilitySets(capabilities),
    ...(rlimits.length > 0 ? { rlimits } : {}),
    ...(noNewPrivileges ? { noNewPrivileges } : {}),
    ...(appArmor === undefined ? {} : { apparmorProfile: appArmor }),
    ...oomScoreAdj(input),
  };
}

/** A score below our own takes CAP_SYS_RESOURCE; without it the container gets ours. An equal one is inherited. */
function oomScoreAdj({ hostConfig, host, warn }: SpecInput): { oomScoreAdj?: number } {
  const wanted = hostConfig.OomScoreAdj ?? 0;
  if (wanted < host.oomScoreAdj && !mayRaiseLimits(host)) {
    if (wanted !== 0) warn?.(`oom score adjustment ${wanted} was raised to ${host.oomScoreAdj}, this engine's own`);
    return {};
  }
  return wanted === host.oomScoreAdj ? {} : { oomScoreAdj: wanted };
}

function specMounts(input: SpecInput, { writableCgroups }: SecurityOptions): SpecMount[] {
  const { hostConfig, defaults } = input;
  const privileged = hostConfig.Privileged === true;
  const always = defaultMounts({
    shm: input.shm,
    hostIpc: input.namespaces.ipc === "host",
    privileged,
    writableCgroups,
  });
  const init: ContainerMount[] = wantsInit(input)
    ? [{ type: "bind", source: defaults.initPath ?? INIT_PATH, target: INIT_TARGET, readOnly: true }]
    : [];
  const tmpfs = tmpfsMounts(hostConfig.Tmpfs ?? {}, hostConfig.Mounts ?? []);
  return arrangeMounts(always, [...init, ...tmpfs, ...input.mounts].map(specMount));
}

function linuxDevices({ nodes }: Devices): Pick<Linux, "devices"> {
  return nodes.length > 0 ? { devices: [...nodes] } : {};
}

function linuxSysctls({ config, hostConfig, namespaces, ownNetwork }: SpecInput): Pick<Linux, "sysctl"> {
  const domain: Record<string, string> =
    config.Domainname && namespaces.uts === "new" ? { "kernel.domainname": config.Domainname } : {};
  const sysctl = specSysctls({ ...domain, ...hostConfig.Sysctls }, namespaces, { ownNetwork });
  return Object.keys(sysctl).length > 0 ? { sysctl } : {};
}

interface SeccompFilter {
  readonly profile?: Seccomp;
  /** The profile compiled, for a runtime that takes it. */
  readonly bpf?: string | undefined;
}

function seccompFilter(input: SpecInput, capabilities: readonly string[], security: SecurityOptions): SeccompFilter {
  const { host, hostConfig, defaults } = input;
  const choice = security.seccomp ?? (hostConfig.Privileged ? "unconfined" : (defaults.seccompProfile ?? "builtin"));
  if (choice === "unconfined" || !host.seccomp) return {};
  const subject = { capabilities, architecture: host.architecture, kernelVersion: host.kernelVersion };
  if (choice !== "builtin" && choice !== "") return { profile: parseSeccompProfile(choice, subject) };
  return { profile: defaultSeccomp(subject), bpf: defaultBpf(subject) };
}

function annotations({ Annotations }: HostConfig, bpf: string | undefined): Pick<Spec, "annotations"> {
  const all = { ...Annotations, ...(bpf === undefined ? {} : { [BPF_ANNOTATION]: bpf }) };
  return Object.keys(all).length > 0 ? { annotations: all } : {};
}

function protectedPaths(
  hostConfig: HostConfig,
  { unconfinedSystemPaths }: SecurityOptions,
): Pick<Linux, "maskedPaths" | "readonlyPaths"> {
  if (hostConfig.Privileged || unconfinedSystemPaths) return {};
  return {
    maskedPaths: [...(hostConfig.MaskedPaths ?? MASKED_PATHS)],
    readonlyPaths: [...(hostConfig.ReadonlyPaths ?? READONLY_PATHS)],
  };
}
