/** The host's side of a container: limits, mounts, devices, namespaces, rights. What was not asked for is left out. */
import type { HostConfig, RestartPolicy } from "../../api/types/container.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { splitHost } from "./checks.ts";
import { deviceMappings, deviceRequests, throttles, weights } from "./devices.ts";
import { keyValues } from "./env.ts";
import { parseMount } from "./mount-flag.ts";
import type { Ports } from "./ports.ts";
import { present } from "./request.ts";
import { securityOptions } from "./security.ts";
import { parseUlimit } from "./ulimits.ts";
import { binds, tmpfsMounts } from "./volumes.ts";

export function hostConfig(flags: ParsedFlags, ports: Ports, networkMode: string): HostConfig {
  const restart = restartPolicy(flags.text("restart"));
  if (flags.bool("rm") && restart.Name !== "no")
    throw new Error("conflicting options: cannot specify both --restart and --rm");
  return {
    NetworkMode: networkMode,
    PortBindings: ports.bindings,
    RestartPolicy: restart,
    LogConfig: logConfig(flags),
    ...resources(flags),
    ...namespaces(flags),
    ...mounts(flags),
    ...lists(flags),
    ...switches(flags),
    ...securityOptions(flags.list("security-opt")),
    ...present({
      ContainerIDFile: flags.text("cidfile"),
      VolumeDriver: flags.text("volume-driver"),
      Runtime: flags.text("runtime"),
      Isolation: flags.text("isolation"),
    }),
  };
}

/** "on-failure:3". */
export function restartPolicy(text: string): RestartPolicy {
  const [name = "", count, more] = text.split(":");
  if (more !== undefined) throw new Error("invalid restart policy format");
  if (count !== undefined && name === "")
    throw new Error("invalid restart policy format: no policy provided before colon");
  if (count !== undefined && !/^[+-]?\d+$/.test(count))
    throw new Error("invalid restart policy format: maximum retry count must be an integer");
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}

function logConfig(flags: ParsedFlags): NonNullable<HostConfig["LogConfig"]> {
  const options = keyValues(flags.list("log-opt"));
  const driver = flags.text("log-driver");
  if (driver === "none" && Object.keys(options).length > 0)
    throw new Error(`invalid logging opts for driver ${driver}`);
  return { Type: driver, Config: options };
}

/** Flags that are numbers in the API, sent when given. */
const NUMBERS: Readonly<Record<string, keyof HostConfig>> = {
  "blkio-weight": "BlkioWeight",
  "cpu-period": "CpuPeriod",
  "cpu-quota": "CpuQuota",
  "cpu-rt-period": "CpuRealtimePeriod",
  "cpu-rt-runtime": "CpuRealtimeRuntime",
  "cpu-shares": "CpuShares",
  cpus: "NanoCpus",
  memory: "Memory",
  "memory-reservation": "MemoryReservation",
  "memory-swap": "MemorySwap",
  "memory-swappiness": "MemorySwappiness",
  "oom-score-adj": "OomScoreAdj",
  "pids-limit": "PidsLimit",
  "shm-size": "ShmSize",
};

function resources(flags: ParsedFlags): HostConfig {
  const swappiness = flags.number("memory-swappiness");
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100))
    throw new Error(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  const given = Object.entries(NUMBERS).filter(([flag]) => flags.changed(flag));
  return {
    ...Object.fromEntries(given.map(([flag, field]) => [field, flags.number(flag)])),
    ...present({
      CgroupParent: flags.text("cgroup-parent"),
      CpusetCpus: flags.text("cpuset-cpus"),
      CpusetMems: flags.text("cpuset-mems"),
    }),
    ...some("BlkioWeightDevice", weights(flags.list("blkio-weight-device"))),
    ...some("BlkioDeviceReadBps", throttles(flags.list("device-read-bps"))),
    ...some("BlkioDeviceWriteBps", throttles(flags.list("device-write-bps"))),
    ...some("BlkioDeviceReadIOps", throttles(flags.list("device-read-iops"))),
    ...some("BlkioDeviceWriteIOps", throttles(flags.list("device-write-iops"))),
    ...some("Devices", deviceMappings(flags.list("device"))),
    ...some("DeviceCgroupRules", flags.list("device-cgroup-rule")),
    ...some("DeviceRequests", deviceRequests(flags.list("gpus"), flags.list("device"))),
    ...some("Ulimits", flags.list("ulimit").map(parseUlimit)),
  };
}

/** Values that a mode may have, with `container:NAME` where it may join one. */
const MODES = [
  { flag: "pid", field: "PidMode", fixed: ["", "host"], joins: true, error: "--pid: invalid PID mode" },
  { flag: "uts", field: "UTSMode", fixed: ["", "host"], joins: false, error: "--uts: invalid UTS mode" },
  { flag: "userns", field: "UsernsMode", fixed: ["", "host"], joins: false, error: "--userns: invalid USER mode" },
  {
    flag: "cgroupns",
    field: "CgroupnsMode",
    fixed: ["", "host", "private"],
    joins: false,
    error: "--cgroupns: invalid CGROUP mode",
  },
  { flag: "ipc", field: "IpcMode", fixed: undefined, joins: true, error: "" },
] as const;

function namespaces(flags: ParsedFlags): HostConfig {
  const chosen = MODES.map(({ flag, field, fixed, joins, error }) => {
    const mode = flags.text(flag);
    const known =
      fixed === undefined || (fixed as readonly string[]).includes(mode) || (joins && /^container:./.test(mode));
    if (!known) throw new Error(error);
    return [field, mode] as const;
  });
  return Object.fromEntries(chosen.filter(([, mode]) => mode !== ""));
}

function mounts(flags: ParsedFlags): HostConfig {
  return {
    Binds: binds(flags.list("volume")),
    ...some("Mounts", flags.list("mount").map(parseMount)),
    ...(flags.list("tmpfs").length === 0 ? {} : { Tmpfs: tmpfsMounts(flags.list("tmpfs")) }),
    ...some("VolumesFrom", flags.list("volumes-from")),
  };
}

function lists(flags: ParsedFlags): HostConfig {
  const sysctls = keyValues(flags.list("sysctl"));
  const storage = flags.list("storage-opt");
  if (storage.some((word) => !word.includes("="))) throw new Error("invalid storage option");
  return {
    ...some("CapAdd", flags.list("cap-add").map(capability)),
    ...some("CapDrop", flags.list("cap-drop").map(capability)),
    ...some("Dns", flags.list("dns")),
    ...some("DnsOptions", [...flags.list("dns-option"), ...flags.list("dns-opt")]),
    ...some("DnsSearch", flags.list("dns-search")),
    ...some(
      "ExtraHosts",
      flags.list("add-host").map((word) => splitHost(word).join(":")),
    ),
    ...some("GroupAdd", flags.list("group-add")),
    ...some("Links", flags.list("link")),
    ...(Object.keys(sysctls).length === 0 ? {} : { Sysctls: sysctls }),
    ...(storage.length === 0 ? {} : { StorageOpt: keyValues(storage) }),
    ...(flags.changed("annotation") ? { Annotations: { ...flags.map("annotation") } } : {}),
  };
}

function capability(name: string): string {
  const upper = name.toUpperCase();
  return upper === "ALL" || upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
}

function switches(flags: ParsedFlags): HostConfig {
  return {
    AutoRemove: flags.bool("rm"),
    Privileged: flags.bool("privileged"),
    PublishAllPorts: flags.bool("publish-all"),
    ReadonlyRootfs: flags.bool("read-only"),
    ...(flags.changed("oom-kill-disable") ? { OomKillDisable: flags.bool("oom-kill-disable") } : {}),
    ...(flags.changed("init") ? { Init: flags.bool("init") } : {}),
  };
}

/** The member when there is something in it. */
function some<K extends keyof HostConfig>(name: K, values: readonly unknown[]): Pick<HostConfig, K> {
  return (values.length === 0 ? {} : { [name]: [...values] }) as Pick<HostConfig, K>;
}
