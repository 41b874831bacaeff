/** What this machine and this process are and may do. Read once: nothing here changes while gantryd runs. */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";

export interface Host {
  /** Processors that are online. */
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
  /** "6.18.44". */
  readonly kernelVersion: string;
  /** As uname -m: "x86_64". */
  readonly machine: string;
  /** As Node's process.arch: "x64". */
  readonly architecture: string;
  /** os-release's PRETTY_NAME and VERSION_ID. */
  readonly operatingSystem: string;
  readonly operatingSystemVersion: string;
  /** Capabilities that this process may hand on: bit n is capability n. */
  readonly capabilities: bigint;
  readonly seccomp: boolean;
  readonly appArmor: boolean;
  /** AppArmor profiles that are loaded. */
  readonly appArmorProfiles: ReadonlySet<string>;
  readonly selinux: boolean;
  readonly ipv4Forwarding: boolean;
  /** Another at each boot. */
  readonly bootId: string;
  /** This process's own, which containers inherit. */
  readonly oomScoreAdj: number;
  /** This process's hard limits by the kernel's name without RLIMIT_ ("NOFILE"); Infinity for unlimited. */
  readonly hardLimits: Readonly<Record<string, number>>;
}

const CAP_SYS_RESOURCE = 24n;

let cached: Host | undefined;

export function readHost(): Host {
  cached ??= Object.freeze(gather());
  return cached;
}

/** Whether limits can be raised above the hard limit and OOM scores lowered. */
export function mayRaiseLimits(host: Host): boolean {
  return ((host.capabilities >> CAP_SYS_RESOURCE) & 1n) === 1n;
}

function gather(): Host {
  const os = parseOsRelease(read("/etc/os-release") || read("/usr/lib/os-release"));
  const status = read("/proc/self/status");
  return {
    cpus: cpus().length || availableParallelism(),
    memory: totalmem(),
    kernelVersion: release(),
    machine: machineName(),
    architecture: process.arch,
    operatingSystem: os.PRETTY_NAME ?? "Linux",
    operatingSystemVersion: os.VERSION_ID ?? "",
    capabilities: BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`),
    seccomp: /^Seccomp:/m.test(status),
    appArmor: read("/sys/module/apparmor/parameters/enabled").startsWith("Y"),
    appArmorProfiles: new Set(
      read("/sys/kernel/security/apparmor/profiles")
        .split("\n")
        .map((line) => line.replace(/ \(\w+\)$/, "")),
    ),
    selinux: existsSync("/sys/fs/selinux/enforce"),
    bootId: read("/proc/sys/kernel/random/boot_id").trim(),
    ipv4Forwarding: read("/proc/sys/net/ipv4/ip_forward").startsWith("1"),
    oomScoreAdj: Number(read("/proc/self/oom_score_adj")) || 0,
    hardLimits: parseLimits(read("/proc/self/limits")),
  };
}

const MACHINES: Readonly<Record<string, string>> = {
  x64: "x86_64",
  arm64: "aarch64",
  arm: "armv7l",
  riscv64: "riscv64",
  s390x: "s390x",
  ppc64: "ppc64le",
  loong64: "loongarch64",
};

function machineName(): string {
  return MACHINES[process.arch] ?? process.arch;
}

/** os-release(5): NAME=value lines with shell quoting. */
export function parseOsRelease(text: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^([A-Z0-9_]+)=(.*)$/.exec(line.trim());
    if (match === null) continue;
    const [, name = "", raw = ""] = match;
    const quoted = /^(["'])(.*)\1$/.exec(raw)?.[2];
    values[name] = (quoted ?? raw).replace(/\\(["'$`\\])/g, "$1");
  }
  return values;
}

const LIMIT_LABELS: Readonly<Record<string, string>> = {
  "Max cpu time": "CPU",
  "Max file size": "FSIZE",
  "Max data size": "DATA",
  "Max stack size": "STACK",
  "Max core file size": "CORE",
  "Max resident set": "RSS",
  "Max processes": "NPROC",
  "Max open files": "NOFILE",
  "Max locked memory": "MEMLOCK",
  "Max address space": "AS",
  "Max file locks": "LOCKS",
  "Max pending signals": "SIGPENDING",
  "Max msgqueue size": "MSGQUEUE",
  "Max nice priority": "NICE",
  "Max realtime priority": "RTPRIO",
  "Max realtime timeout": "RTTIME",
};

/** The hard limits in /proc/<pid>/limits. */
export function parseLimits(text: string): Readonly<Record<string, number>> {
  const limits: Record<string, number> = {};
  for (const [label, name] of Object.entries(LIMIT_LABELS)) {
    const hard = new RegExp(`^${label}\\s+\\S+\\s+(\\S+)`, "m").exec(text)?.[1];
    if (hard !== undefined) limits[name] = hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
  }
  return limits;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
