/** What a container's control group does to it, on whichever version this machine has. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { HostConfig } from "../api/types/container.ts";
import { newId } from "../base/ids.ts";
import { openCgroups } from "../kernel/cgroups.ts";
import { readHost } from "../kernel/host.ts";
import { makePaths } from "../store/paths.ts";
import { MONITOR_PATH } from "./monitor.ts";
import { openRuntime } from "./open.ts";
import type { Runtime, Task } from "./runtime.ts";
import { buildSpec } from "./spec.ts";
import { readStats } from "./stats.ts";

const BUSYBOX = "/usr/bin/busybox";
const cgroups = openCgroups();
const host = readHost();
const missing = [
  ...(process.getuid?.() === 0 ? [] : ["root"]),
  ...(existsSync(BUSYBOX) ? [] : ["busybox-static"]),
  ...(existsSync(MONITOR_PATH) ? [] : ["gantry-monitor (make -C native)"]),
];

describe("a container's limits", { skip: missing.length > 0 && `needs ${missing.join(", ")}` }, () => {
  const root = mkdtempSync(join(tmpdir(), "limits-"));
  const paths = makePaths(join(root, "data"), join(root, "run"));
  const rootfs = join(root, "rootfs");
  const parent = `/gantry-test-limits-${process.pid}`;
  const started: string[] = [];
  let runtime: Runtime;

  before(async () => {
    for (const folder of ["bin", "proc", "sys", "dev", "tmp"]) mkdirSync(join(rootfs, folder), { recursive: true });
    cpSync(BUSYBOX, join(rootfs, "bin/busybox"));
    for (const name of ["sh", "sleep", "cat", "mknod", "dd", "seq", "rm"]) {
      symlinkSync("busybox", join(rootfs, "bin", name));
    }
    mkdirSync(paths.runtimeState, { recursive: true });
    runtime = await openRuntime({ paths });
  });

  after(async () => {
    for (const id of started) await runtime.cleanup(id);
    cgroups.remove(parent);
    rmSync(root, { recursive: true, force: true });
  });

  const groupOf = (task: Task) => `${parent}/${task.id}`;
  const statsOf = (task: Task) => {
    const { memory_stats: memory = {}, cpu_stats: cpu, pids_stats: pids } = readStats(cgroups, groupOf(task), host);
    return { memory, pids, used: cpu?.cpu_usage?.total_usage ?? 0, ofMachine: cpu?.system_cpu_usage ?? 0 };
  };
  const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

  async function start(name: string, script: string, hostConfig: HostConfig = {}): Promise<Task> {
    const id = newId();
    started.push(id);
    mkdirSync(paths.bundle(id), { recursive: true });
    const spec = buildSpec({
      config: { Cmd: ["sh", "-c", script] },
      hostConfig,
      hostname: "box",
      rootfs,
      user: { uid: 0, gid: 0, additionalGids: [], home: "/root" },
      mounts: [],
      namespaces: {
        network: "new",
        pid: "new",
        ipc: "new",
        uts: "new",
        cgroup: cgroups.version === 2 ? "new" : "host",
      },
      ownNetwork: true,
      shm: { size: 1 << 20 },
      cgroup: `${parent}/${id}`,
      resourceSupport: cgroups.features,
      defaults: { ulimits: {}, noNewPrivileges: false, seccompProfile: undefined, init: false, initPath: undefined },
      host,
    });
    const log = { driver: "json-file" as const, path: join(paths.bundle(id), "log") };
    const options = { terminal: false, stdin: false, stdinOnce: false, log };
    return runtime.start({ id, bundle: paths.bundle(id), spec, runtime: name, ...options });
  }

  /** What it wrote, by lines, once it ended. */
  async function lines(task: Task): Promise<string[]> {
    await task.exited;
    await task.released;
    const text = readFileSync(join(paths.bundle(task.id), "log"), "utf8");
    const written = text.split("\n").filter(Boolean);
    return written.map((line) => (JSON.parse(line) as { log: string }).log.trimEnd());
  }

  async function end(task: Task): Promise<void> {
    await task.killAll(9);
    await task.exited;
    await task.released;
  }

  for (const name of ["crun", "runc"]) {
    const test = (title: string, action: () => Promise<void>) =>
      it(`${title} (${name})`, async (t) => {
        if (!runtime.runtimes.some((found) => found.name === name)) return t.skip(`${name} is not installed`);
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
      await runtime.update(task.id, {
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
      const hungry = await start(name, "sh -c 'x=a; while :; do x=$x$x; done'; exit 9", { Memory: 8 << 20 });
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
      await runtime.pause(task.id);
      const frozen = used();
      await pause();
      assert.equal(used(), frozen);
      assert.ok(frozen < statsOf(task).ofMachine);
      await runtime.resume(task.id);
      while (used() === frozen) await pause();
      await runtime.pause(task.id);
      await runtime.cleanup(task.id);
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
