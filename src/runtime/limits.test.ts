/** What a container's control group does to it, on whichever version this machine has. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { HostConfig } from "../api/types/container.ts";
import { readHost } from "../kernel/host.ts";
import { cgroups, missing, workbench } from "./runtime.fixture.ts";
import type { Task } from "./runtime.ts";
import { readStats } from "./stats.ts";

const host = readHost();

describe("a container's limits", { skip: missing }, () => {
  const bench = workbench();
  const { lines, end } = bench;

  const groupOf = (task: Task) => `${bench.parent}/${task.id}`;
  const statsOf = (task: Task) => {
    const { memory_stats: memory = {}, cpu_stats: cpu, pids_stats: pids } = readStats(cgroups, groupOf(task), host);
    return { memory, pids, used: cpu?.cpu_usage?.total_usage ?? 0, ofMachine: cpu?.system_cpu_usage ?? 0 };
  };
  const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

  function start(name: string, script: string, hostConfig: HostConfig = {}): Promise<Task> {
    return bench.runtime.start(bench.request({ Cmd: ["sh", "-c", script] }, hostConfig, name));
  }

  for (const name of ["crun", "runc"]) {
    const test = (title: string, action: () => Promise<void>) =>
      it(`${title} (${name})`, async (t) => {
        if (!bench.runtime.runtimes.some((found) => found.name === name)) return t.skip(`${name} is not installed`);
        await action();
      });

    test("are its group's from the start, and are changed while it runs", async () => {
      const task = await start(name, "sleep 600", {
        Memory: 64 << 20,
        MemoryReservation: 16 << 20,
        PidsLimit: 9,
        NanoCpus: 0.5e9,
        CpuShares: 512,
        CpusetCpus: "0",
        BlkioWeight: 300,
        MemorySwappiness: 10,
        OomKillDisable: false,
      });
      const before = statsOf(task);
      assert.equal(before.memory.limit, 64 << 20);
      assert.ok((before.memory.usage ?? 0) > 0);
      assert.deepEqual(before.pids, { current: 1, limit: 9 });
      assert.equal(/^Cpus_allowed_list:\s+(.*)$/m.exec(readFileSync(`/proc/${task.pid}/status`, "utf8"))?.[1], "0");
      await bench.runtime.update(task.id, {
        Memory: 32 << 20,
        MemorySwap: 48 << 20,
        MemoryReservation: 8 << 20,
        PidsLimit: -1,
        CpuShares: 1024,
        CpuPeriod: 50_000,
        CpuQuota: 20_000,
        CpusetCpus: "0",
      });
      assert.equal(statsOf(task).memory.limit, 32 << 20);
      assert.equal(statsOf(task).pids?.limit, undefined);
      await end(task);
      assert.equal(cgroups.exists(groupOf(task)), false);
    });

    test("stop a fork, and memory beyond them ends it", async () => {
      const forks = await lines(await start(name, "sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait", { PidsLimit: 3 }));
      assert.match(forks.join("\n"), /can't fork|Resource temporarily unavailable/);
      if (!cgroups.features.memoryLimit) return;
      // runc itself needs some of it: with 8 MiB it was killed before it had started anything.
      const hungry = await start(name, "sh -c 'x=a; while :; do x=$x$x; done'; exit 9", { Memory: 24 << 20 });
      assert.deepEqual(
        pick(await hungry.exited),
        { exitCode: 9, oomKilled: true },
        "an end below the first process counts",
      );
      await hungry.released;
    });

    test("count time and bytes, and a paused container takes none", async () => {
      const task = await start(name, "while :; do seq 1000 >/tmp/x; rm /tmp/x; done");
      const used = () => statsOf(task).used;
      const first = used();
      while (used() === first) await pause();
      await bench.runtime.pause(task.id);
      const frozen = used();
      await pause();
      assert.equal(used(), frozen);
      assert.ok(frozen < statsOf(task).ofMachine);
      await bench.runtime.resume(task.id);
      while (used() === frozen) await pause();
      await bench.runtime.pause(task.id);
      await bench.runtime.cleanup(task.id);
      await task.exited;
      assert.equal(cgroups.exists(groupOf(task)), false, "a paused container dies of being cleaned up");
    });

    test("keep it from devices but those it was given", async () => {
      // 1:11 is the kernel's log, which anybody may open for writing.
      const script =
        "echo x >/dev/zero && echo zero; mknod /tmp/log c 1 11; (: >/tmp/log) 2>&1 && echo opened; rm /tmp/log";
      const refused = await lines(await start(name, script));
      assert.equal(refused[0], "zero");
      assert.match(refused[1] ?? "", /can't create \/tmp\/log: Operation not permitted/);
      assert.deepEqual(await lines(await start(name, script, { DeviceCgroupRules: ["c 1:11 w"] })), ["zero", "opened"]);
    });

    test("do not show it where in the machine's tree it is", async () => {
      if (cgroups.version === 1) return;
      const script = "cat /proc/self/cgroup /sys/fs/cgroup/memory.max; echo 1 2>&1 >/sys/fs/cgroup/cgroup.freeze";
      const [own, limit, refused] = await lines(await start(name, script, { Memory: 64 << 20 }));
      assert.deepEqual([own, limit], ["0::/", String(64 << 20)]);
      assert.match(refused ?? "", /Read-only file system/);
    });
  }
});

function pick({ exitCode, oomKilled }: Awaited<Task["exited"]>): { exitCode: number; oomKilled: boolean } {
  return { exitCode, oomKilled };
}
