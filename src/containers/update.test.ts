/** Limits and policies that change while a container runs. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Resources } from "../api/types/container.ts";
import { openCgroups } from "../kernel/cgroups.ts";
import { createBusybox, recordEvents, startEngine } from "../testing/engine-harness.ts";

const v1 = openCgroups().version === 1;

/** The limit's file in the container's own view of its group. */
const FILES: readonly (readonly [limit: Resources, file: string, text: RegExp])[] = v1
  ? [
      [{ CpuShares: 700 }, "cpu/cpu.shares", /^700$/],
      [{ CpuPeriod: 50_000, CpuQuota: 20_000 }, "cpu/cpu.cfs_quota_us", /^20000$/],
      [{ CpusetCpus: "0" }, "cpuset/cpuset.cpus", /^0$/],
      [{ CpusetMems: "0" }, "cpuset/cpuset.mems", /^0$/],
      [{ Memory: 64 << 20, MemorySwap: 128 << 20 }, "memory/memory.limit_in_bytes", /^67108864$/],
      [{ MemoryReservation: 32 << 20 }, "memory/memory.soft_limit_in_bytes", /^33554432$/],
      [{ PidsLimit: 30 }, "pids/pids.max", /^30$/],
      [{ PidsLimit: 0 }, "pids/pids.max", /^max$/],
    ]
  : [
      [{ CpuShares: 700 }, "cpu.weight", /^\d+$/],
      [{ CpuPeriod: 50_000, CpuQuota: 20_000 }, "cpu.max", /^20000 50000$/],
      [{ CpusetCpus: "0" }, "cpuset.cpus", /^0$/],
      [{ CpusetMems: "0" }, "cpuset.mems", /^0$/],
      [{ Memory: 64 << 20, MemorySwap: 128 << 20 }, "memory.max", /^67108864$/],
      [{ MemoryReservation: 32 << 20 }, "memory.low", /^33554432$/],
      [{ PidsLimit: 30 }, "pids.max", /^30$/],
      [{ PidsLimit: 0 }, "pids.max", /^max$/],
    ];

test("every limit that can change changes in the kernel, and is the next run's too", async (t) => {
  const { engine } = await startEngine(t);
  const { containers } = engine;
  const id = await createBusybox(engine, ["sleep", "1000"]);
  await containers.start(id);
  const fileOf = async (file: string) => {
    const { Pid } = (await containers.inspect(id, { size: false })).State;
    return readFileSync(`/proc/${Pid}/root/sys/fs/cgroup/${file}`, "utf8").trim();
  };
  for (const [limit, file, text] of FILES) {
    assert.deepEqual(await containers.update(id, limit), { Warnings: [] }, JSON.stringify(limit));
    assert.match(await fileOf(file), text);
  }
  const { HostConfig } = await containers.inspect(id, { size: false });
  assert.deepEqual(
    [HostConfig.CpuShares, HostConfig.CpuQuota, HostConfig.Memory, HostConfig.PidsLimit],
    [700, 20_000, 64 << 20, 0],
  );
  await containers.restart(id, { timeout: 0 });
  for (const [, file, text] of FILES.filter((_, index) => index !== 6)) assert.match(await fileOf(file), text);
});

test("what contradicts itself or what is set is refused, and changes nothing", async (t) => {
  const { engine } = await startEngine(t);
  const { containers } = engine;
  const id = await createBusybox(engine, ["sleep", "1000"], {
    HostConfig: { NanoCpus: 0.5e9, Memory: 32 << 20, MemorySwap: 64 << 20 },
  });
  const refused: readonly (readonly [Resources, string, RegExp])[] = [
    [{ CpuQuota: 20_000 }, "conflict", /CPU Quota cannot be updated as NanoCPUs has already been set/],
    [{ CpuPeriod: 20_000 }, "conflict", /CPU Period cannot be updated as NanoCPUs has already been set/],
    [
      { Memory: 128 << 20 },
      "conflict",
      /smaller than already set memoryswap limit, update the memoryswap at the same time/,
    ],
    [{ Memory: 1 << 20 }, "invalid", /Minimum memory limit allowed is 6MB/],
    [{ CpusetCpus: "4000" }, "invalid", /Requested CPUs are not available/],
    [{ BlkioWeight: 5 }, "invalid", /Range of blkio weight is from 10 to 1000/],
  ];
  const before = await containers.inspect(id, { size: false });
  for (const [limit, kind, message] of refused) await assert.rejects(containers.update(id, limit), { kind, message });
  await assert.rejects(containers.update(id, { RestartPolicy: { Name: "sometimes" } }), {
    kind: "invalid",
    message: /unknown policy 'sometimes'/,
  });
  assert.deepEqual((await containers.inspect(id, { size: false })).HostConfig, before.HostConfig);
  const { Warnings } = await containers.update(id, { Ulimits: [{ Name: "nofile", Soft: 1, Hard: 1 }] });
  assert.deepEqual(Warnings, ["Ulimits is fixed when a container is created. Ulimits discarded."]);
});

test("a restart policy holds from the moment it is set, and until it is taken away", async (t) => {
  const { engine } = await startEngine(t);
  const { containers } = engine;
  const events = recordEvents(engine);
  t.after(() => events.stop());
  const id = await createBusybox(engine, ["sleep", "1000"]);
  await containers.start(id);
  const die = async () => {
    const before = events.of(id).filter((action) => action === "die").length;
    process.kill((await containers.inspect(id, { size: false })).State.Pid, 9);
    while (events.of(id).filter((action) => action === "die").length === before)
      await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await containers.update(id, { RestartPolicy: { Name: "always" } });
  await die();
  while ((await containers.inspect(id, { size: false })).State.Status !== "running")
    await new Promise((resolve) => setTimeout(resolve, 10));
  await containers.update(id, { RestartPolicy: { Name: "no" } });
  await die();
  assert.equal((await containers.inspect(id, { size: false })).State.Status, "exited");
  const removed = await createBusybox(engine, ["true"], { HostConfig: { AutoRemove: true } });
  await assert.rejects(containers.update(removed, { RestartPolicy: { Name: "always" } }), {
    kind: "invalid",
    message: "Restart policy cannot be updated because AutoRemove is enabled for the container",
  });
});
