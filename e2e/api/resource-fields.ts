/** Every field of HostConfig that limits. Where control groups of version 1 and 2 differ, each has its file. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Resources } from "../../src/api/types/container.ts";
import { missing, needing, type Row, shown, tried } from "./rows.ts";

/** A file of the container's own group, as it sees it. */
function limit(name: keyof Resources, value: Resources, [v1, v2]: readonly [string, string], pattern: RegExp): Row {
  return tried(name, async (at) => {
    const { text } = await at.run({ HostConfig: value }, `cat /sys/fs/cgroup/${at.v1 ? v1 : v2}`);
    assert.match(text, pattern);
  });
}

const WINDOWS = "Windows alone has it";

/** Some block device of this machine, by its numbers. */
function anyDisk(): { readonly path: string; readonly numbers: string } | undefined {
  const line = readFileSync("/proc/partitions", "utf8")
    .split("\n")
    .find((text) => /\b(vd[a-z]|sd[a-z]|nvme\d+n\d+|xvd[a-z])$/.test(text));
  const [, major, minor, name] = /^\s*(\d+)\s+(\d+)\s+\d+\s+(\S+)$/.exec(line ?? "") ?? [];
  return name === undefined ? undefined : { path: `/dev/${name}`, numbers: `${major}:${minor}` };
}

const disk = anyDisk();

/** "8:0 1048576", or in version 2's one file "8:0 rbps=1048576 …". */
function throttle(name: keyof Resources, v1: string, key: string): Row {
  const row = tried(name, async (at) => {
    const HostConfig = { [name]: [{ Path: disk?.path ?? "", Rate: 1 << 20 }] };
    const file = at.v1 ? `blkio/blkio.throttle.${v1}` : "io.max";
    const { text } = await at.run({ HostConfig }, `cat /sys/fs/cgroup/${file}`);
    assert.match(text, new RegExp(`^${disk?.numbers} .*${at.v1 ? "" : `${key}=`}1048576`, "m"));
  });
  return needing(({ blkioThrottle }) => blkioThrottle && disk !== undefined, "where the kernel has it", row);
}

const V1_QUOTA = "cpu/cpu.cfs_quota_us";

export const RESOURCE_FIELDS: readonly Row[] = [
  limit("CpuShares", { CpuShares: 512 }, ["cpu/cpu.shares", "cpu.weight"], /^(512|20)\n$/),
  limit("Memory", { Memory: 64 << 20 }, ["memory/memory.limit_in_bytes", "memory.max"], /^67108864\n$/),
  tried("CgroupParent", async (at) => {
    const id = await at.start({ HostConfig: { CgroupParent: "/gantry-test-parent" } });
    const { Pid } = (await at.inspect(id)).State;
    assert.match(readFileSync(`/proc/${Pid}/cgroup`, "utf8"), /:\/gantry-test-parent\//);
  }),
  needing(
    ({ blkioWeight }) => blkioWeight,
    "where the kernel has it",
    limit("BlkioWeight", { BlkioWeight: 300 }, ["blkio/blkio.bfq.weight", "io.weight"], /300|default \d+/),
  ),
  missing("BlkioWeightDevice", "given to the runtime; no kernel at hand has weights per device to try it"),
  throttle("BlkioDeviceReadBps", "read_bps_device", "rbps"),
  throttle("BlkioDeviceWriteBps", "write_bps_device", "wbps"),
  throttle("BlkioDeviceReadIOps", "read_iops_device", "riops"),
  throttle("BlkioDeviceWriteIOps", "write_iops_device", "wiops"),
  limit("CpuPeriod", { CpuPeriod: 50_000, CpuQuota: 20_000 }, ["cpu/cpu.cfs_period_us", "cpu.max"], /50000\n$/),
  limit("CpuQuota", { CpuQuota: 20_000 }, [V1_QUOTA, "cpu.max"], /^20000/),
  missing("CpuRealtimePeriod", "given to the runtime; no kernel at hand schedules groups in real time to try it"),
  missing("CpuRealtimeRuntime", "given to the runtime; no kernel at hand schedules groups in real time to try it"),
  shown("CpusetCpus", { HostConfig: { CpusetCpus: "0" } }, "grep Cpus_allowed_list /proc/self/status", /\t0\n$/),
  shown("CpusetMems", { HostConfig: { CpusetMems: "0" } }, "grep Mems_allowed_list /proc/self/status", /\t0\n$/),
  shown(
    "Devices",
    { HostConfig: { Devices: [{ PathOnHost: "/dev/kmsg", PathInContainer: "/dev/other", CgroupPermissions: "r" }] } },
    "ls -l /dev/other; echo x > /dev/other",
    / 1, +11 [\s\S]*(Operation not permitted|Permission denied)/,
  ),
  shown(
    "DeviceCgroupRules",
    { HostConfig: { DeviceCgroupRules: ["c 10:229 r"] } },
    "mknod /fuse c 10 229; head -c 0 /fuse; mknod /other c 10 228; head -c 0 /other",
    /^(?!.*\/fuse: (Operation|Permission))[\s\S]*\/other: (Operation not permitted|Permission denied)/,
  ),
  tried(
    "DeviceRequests",
    async (at) => {
      const devices = [
        { name: "zero", containerEdits: { deviceNodes: [{ path: "/dev/named", hostPath: "/dev/zero" }] } },
      ];
      const file = join(at.cdi, "example.json");
      writeFileSync(file, JSON.stringify({ cdiVersion: "0.6.0", kind: "example.com/device", devices }));
      const DeviceRequests = [{ Driver: "cdi", DeviceIDs: ["example.com/device=zero"] }];
      assert.equal((await at.run({ HostConfig: { DeviceRequests } }, "head -c 3 /dev/named | wc -c")).text, "3\n");
    },
    "by CDI specifications, GPUs too; without one they are refused",
  ),
  missing("KernelMemoryTCP", "Docker has taken it out: kernels no longer have such a limit"),
  limit(
    "MemoryReservation",
    { MemoryReservation: 32 << 20 },
    ["memory/memory.soft_limit_in_bytes", "memory.low"],
    /^33554432\n$/,
  ),
  needing(
    ({ swapLimit }) => swapLimit,
    "where the kernel counts swap",
    limit(
      "MemorySwap",
      { Memory: 32 << 20, MemorySwap: 48 << 20 },
      ["memory/memory.memsw.limit_in_bytes", "memory.swap.max"],
      /^(50331648|16777216)\n$/,
    ),
  ),
  needing(
    ({ memorySwappiness }) => memorySwappiness,
    "control groups of version 1 alone have it",
    limit("MemorySwappiness", { MemorySwappiness: 10 }, ["memory/memory.swappiness", ""], /^10\n$/),
  ),
  limit("NanoCpus", { NanoCpus: 0.5e9 }, [V1_QUOTA, "cpu.max"], /^50000/),
  needing(
    ({ oomKillDisable }) => oomKillDisable,
    "control groups of version 1 alone have it",
    limit(
      "OomKillDisable",
      { Memory: 32 << 20, OomKillDisable: true },
      ["memory/memory.oom_control", ""],
      /oom_kill_disable 1/,
    ),
  ),
  shown("Init", { HostConfig: { Init: true } }, "cat /proc/1/comm", /^docker-init\n$/),
  limit("PidsLimit", { PidsLimit: 50 }, ["pids/pids.max", "pids.max"], /^50\n$/),
  shown(
    "Ulimits",
    { HostConfig: { Ulimits: [{ Name: "nofile", Soft: 100, Hard: 200 }] } },
    "ulimit -n; ulimit -Hn",
    /^100\n200\n$/,
  ),
  missing("CpuCount", WINDOWS),
  missing("CpuPercent", WINDOWS),
  missing("IOMaximumIOps", WINDOWS),
  missing("IOMaximumBandwidth", WINDOWS),
];
