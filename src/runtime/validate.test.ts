import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ContainerConfig, HostConfig } from "../api/types/container.ts";
import type { CgroupFeatures } from "../kernel/cgroups.ts";
import { readHost } from "../kernel/host.ts";
import { fillHostConfig } from "./host-config-defaults.ts";
import { validateCreate, validateUpdate } from "./validate.ts";

const FEATURES: CgroupFeatures = {
  memoryLimit: true,
  memoryReservation: true,
  memorySwappiness: true,
  swapLimit: true,
  oomKillDisable: true,
  kernelMemoryTcp: true,
  cpuShares: true,
  cpuCfs: true,
  cpuRealtime: false,
  cpuset: true,
  cpus: "0-1",
  mems: "0",
  blkioWeight: true,
  blkioThrottle: true,
  pidsLimit: true,
  devices: true,
};

const context = (features: Partial<CgroupFeatures> = {}) => ({
  features: { ...FEATURES, ...features },
  host: { ...readHost(), cpus: 2 },
  runtimes: ["crun", "runc"],
});

const MB = 1 << 20;

const refusals: [string, HostConfig, ContainerConfig?][] = [
  ["kernel does not support CPU real-time scheduler", { CpuRealtimeRuntime: 1000 }],
  ["--storage-opt is supported only for overlay over xfs with 'pquota' mount option", { StorageOpt: { size: "1G" } }],
  ["Minimum memory limit allowed is 6MB", { Memory: 5 * MB }],
  ["Minimum memoryswap limit should be larger than memory limit, see usage", { Memory: 64 * MB, MemorySwap: 32 * MB }],
  ["You should always set the Memory limit when using Memoryswap limit, see usage", { MemorySwap: 64 * MB }],
  ["Invalid value: 101, valid memory swappiness range is 0-100", { MemorySwappiness: 101 }],
  ["Minimum memory reservation allowed is 6MB", { MemoryReservation: MB }],
  [
    "Minimum memory limit can not be less than memory reservation limit, see usage",
    { Memory: 8 * MB, MemoryReservation: 9 * MB },
  ],
  ["range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available", { NanoCpus: 3e9 }],
  ["Conflicting options: Nano CPUs and CPU Period cannot both be set", { NanoCpus: 1e9, CpuPeriod: 1000 }],
  ["Conflicting options: Nano CPUs and CPU Quota cannot both be set", { NanoCpus: 1e9, CpuQuota: 1000 }],
  ["CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)", { CpuPeriod: 10 }],
  ["CPU cfs quota can not be less than 1ms (i.e. 1000)", { CpuQuota: 10 }],
  ["Invalid value x for cpuset cpus", { CpusetCpus: "x" }],
  ["Requested CPUs are not available - requested 0-7, available: 0-1", { CpusetCpus: "0-7" }],
  ["Range of blkio weight is from 10 to 1000", { BlkioWeight: 5 }],
  ["Invalid value 2000, range for oom score adj is [-1000, 1000]", { OomScoreAdj: 2000 }],
  ["SHM size can not be less than 0", { ShmSize: -1 }],
  ["unknown or invalid runtime name: kata", { Runtime: "kata" }],
  ["can't create 'AutoRemove' container with restart policy", { AutoRemove: true, RestartPolicy: { Name: "always" } }],
  [
    "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    { RestartPolicy: { Name: "always", MaximumRetryCount: 3 } },
  ],
  ["invalid IPC mode: x", { IpcMode: "x" }],
  ["invalid PID mode: container:", { PidMode: "container:" }],
  ["invalid UTS mode: container:x", { UTSMode: "container:x" }],
  ["conflicting options: dns and the network mode", { NetworkMode: "container:x", Dns: ["1.1.1.1"] }],
  ["conflicting options: hostname and the network mode", { NetworkMode: "container:x" }, { Hostname: "h" }],
  ["conflicting options: hostname and the UTS mode", { UTSMode: "host" }, { Hostname: "h" }],
  [
    "conflicting options: port publishing and the container type network mode",
    { NetworkMode: "container:x", PortBindings: { "80/tcp": [] } },
  ],
  ['invalid CapAdd: unknown capability: "CAP_X"', { CapAdd: ["x"] }],
  ['invalid --security-opt 1: "x"', { SecurityOpt: ["x"] }],
  ["invalid device cgroup rule format: 'x'", { DeviceCgroupRules: ["x"] }],
  ["the working directory 'w' is invalid, it needs to be an absolute path", {}, { WorkingDir: "w" }],
  ["invalid environment variable: =x", {}, { Env: ["=x"] }],
  ["Interval in Healthcheck cannot be less than 1ms", {}, { Healthcheck: { Interval: 5 } }],
];

describe("a create request is refused", () => {
  for (const [message, hostConfig, config = {}] of refusals) {
    it(message, () => {
      assert.throws(() => validateCreate(config, hostConfig, context()), { kind: "invalid", message });
    });
  }
});

describe("a create request is let through with a warning", () => {
  const cases: [RegExp, HostConfig, Partial<CgroupFeatures>][] = [
    [/does not support swap limit.*Memory limited without swap/, { Memory: 64 * MB }, { swapLimit: false }],
    [/does not support memory limit/, { Memory: 64 * MB }, { memoryLimit: false }],
    [/memory swappiness discarded/i, { MemorySwappiness: 10 }, { memorySwappiness: false }],
    [/OomKillDisable discarded/, { OomKillDisable: true }, { oomKillDisable: false }],
    [/PIDs limit discarded/, { PidsLimit: 5 }, { pidsLimit: false }],
    [/Block I\/O weight.*Weight discarded/, { BlkioWeight: 100 }, { blkioWeight: false }],
    [/Cpuset discarded/, { CpusetCpus: "0" }, { cpuset: false }],
  ];
  for (const [warning, hostConfig, features] of cases) {
    it(`${warning}`, () => {
      const warnings = validateCreate({}, hostConfig, context(features));
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? "", warning);
    });
  }

  it("and without one where nothing special is asked", () => {
    const hostConfig = {
      Memory: 64 * MB,
      MemorySwap: -1,
      MemorySwappiness: -1,
      NanoCpus: 2e9,
      PidsLimit: 0,
      CpusetCpus: "0,1",
    };
    assert.deepEqual(validateCreate({ Env: ["A=1", "B"] }, hostConfig, context()), []);
  });
});

it("an update is judged together with what holds already", () => {
  assert.throws(() => validateUpdate({ MemorySwap: 32 * MB }, { Memory: 64 * MB }, context()), {
    message: /Minimum memoryswap/,
  });
  assert.deepEqual(validateUpdate({ Memory: 0, CpuShares: 5 }, { Memory: 64 * MB }, context()), []);
});

describe("what Docker fills in", () => {
  const defaults = {
    shmSize: 64 * MB,
    ipcMode: "private",
    cgroupnsMode: undefined,
    cgroupVersion: 2,
    runtime: "crun",
  } as const;

  it("is written down for inspect", () => {
    const filled = fillHostConfig({ Memory: 8 * MB, CpuShares: 1 }, defaults);
    assert.equal(filled.MemorySwap, 16 * MB);
    assert.equal(filled.CpuShares, 2);
    assert.equal(filled.ShmSize, 64 * MB);
    assert.equal(filled.IpcMode, "private");
    assert.equal(filled.CgroupnsMode, "private");
    assert.ok(filled.MaskedPaths?.includes("/proc/kcore"));
  });

  it("differs for privileged containers and on cgroup v1", () => {
    assert.equal(fillHostConfig({ Privileged: true }, defaults).CgroupnsMode, "host");
    assert.equal(fillHostConfig({ Privileged: true }, defaults).MaskedPaths, null);
    assert.equal(fillHostConfig({}, { ...defaults, cgroupVersion: 1 }).CgroupnsMode, "host");
    assert.deepEqual(fillHostConfig({ MaskedPaths: [] }, defaults).MaskedPaths, []);
  });
});
