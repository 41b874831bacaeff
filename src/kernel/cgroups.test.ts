import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { type CgroupTree, cgroupPath, openCgroups } from "./cgroups.ts";
import { spawn } from "./spawn.ts";

/** A v2 tree of plain files with one group in it. */
function fakeTree(
  t: TestContext,
  files: Record<string, string> = {},
): { tree: CgroupTree; read(file: string): string } {
  const root = mkdtempSync(join(tmpdir(), "cgroup-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const group = join(root, "gantry", "c1");
  mkdirSync(group, { recursive: true });
  writeFileSync(join(root, "cgroup.controllers"), "cpuset cpu io memory pids\n");
  writeFileSync(join(root, "cpuset.cpus.effective"), "0-3\n");
  for (const [name, text] of Object.entries(files)) writeFileSync(join(group, name), text);
  return { tree: openCgroups(root), read: (file) => readFileSync(join(group, file), "utf8") };
}

describe("a version 2 tree", () => {
  it("is told by cgroup.controllers and says what it can limit", (t) => {
    const { tree } = fakeTree(t);
    assert.equal(tree.version, 2);
    assert.equal(tree.hybrid, false);
    assert.equal(tree.features.cpus, "0-3");
    assert.equal(tree.features.memoryLimit, true);
    assert.equal(tree.features.memorySwappiness, false);
  });

  it("gives Docker's numbers: nanoseconds, bytes, and no limit where the kernel says max", (t) => {
    const { tree } = fakeTree(t, {
      "cpu.stat": "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 4\nnr_throttled 1\nthrottled_usec 20\n",
      "memory.current": "4096\n",
      "memory.max": "max\n",
      "memory.stat": "anon 100\nfile 200\n",
      "memory.events": "low 0\nhigh 0\nmax 9\noom 3\noom_kill 1\n",
      "pids.current": "2\n",
      "pids.max": "50\n",
      "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
    });
    assert.deepEqual(tree.stats("/gantry/c1"), {
      pids_stats: { current: 2, limit: 50 },
      cpu_stats: {
        cpu_usage: { total_usage: 1_500_000, usage_in_kernelmode: 500_000, usage_in_usermode: 1_000_000 },
        throttling_data: { periods: 4, throttled_periods: 1, throttled_time: 20_000 },
      },
      memory_stats: { usage: 4096, failcnt: 3, stats: { anon: 100, file: 200 } },
      blkio_stats: {
        io_service_bytes_recursive: [
          { major: 8, minor: 0, op: "read", value: 10 },
          { major: 8, minor: 0, op: "write", value: 20 },
        ],
      },
    });
  });

  it("translates limits to its own knobs: weights, swap without memory, quota with period", (t) => {
    const { tree, read } = fakeTree(t, {
      "cpu.weight": "100",
      "cpu.max": "max 100000\n",
      "memory.max": "max",
      "memory.swap.max": "max",
      "pids.max": "max",
    });
    tree.update("/gantry/c1", { cpuShares: 1024, cpuQuota: 50_000, memory: 1 << 20, memorySwap: 3 << 20, pids: -1 });
    assert.equal(read("cpu.weight").slice(0, 2), "39");
    assert.equal(read("cpu.max").trim(), "50000 100000");
    assert.match(read("memory.max"), /^1048576/);
    assert.match(read("memory.swap.max"), /^2097152/);
    assert.match(read("pids.max"), /^max/);
  });

  it("kills by cgroup.kill and freezes until the kernel says so", async (t) => {
    const { tree, read } = fakeTree(t, { "cgroup.kill": "", "cgroup.freeze": "0", "cgroup.events": "frozen 1\n" });
    tree.killAll("/gantry/c1");
    assert.equal(read("cgroup.kill"), "1");
    await tree.freeze("/gantry/c1");
    assert.equal(read("cgroup.freeze"), "1");
    await tree.thaw("/gantry/c1");
    assert.equal(read("cgroup.freeze"), "0");
  });

  it("counts a group that is gone as empty", (t) => {
    const { tree } = fakeTree(t);
    assert.deepEqual(tree.pids("/gantry/none"), []);
    assert.equal(tree.exists("/gantry/none"), false);
    assert.equal(tree.remove("/gantry/none"), true);
  });
});

describe("the path of a group", () => {
  it("is below its parent and never leaves the tree", () => {
    assert.equal(cgroupPath(undefined, "abc"), "/gantry/abc");
    assert.equal(cgroupPath("/my/parent", "abc"), "/my/parent/abc");
    assert.equal(cgroupPath("../../x", "abc"), "/x/abc");
  });

  it("is never the root", (t) => {
    const { tree } = fakeTree(t);
    for (const path of ["/", "", "/..", "/gantry/../.."]) {
      assert.throws(() => tree.remove(path), /No control group/);
      assert.throws(() => tree.killAll(path), /No control group/);
    }
  });
});

describe("this machine's tree", () => {
  const tree = openCgroups();
  const base = tree.version === 2 ? "/sys/fs/cgroup" : undefined;

  /** A group with a sleeping process in it, as the runtime makes one. */
  function group(t: TestContext): { path: string; pid: number; exited: Promise<unknown> } {
    const path = `/gantry-test-${randomBytes(6).toString("hex")}`;
    // The runtime does this for the groups that it makes.
    tree.delegate();
    if (base !== undefined) writeFileSync(join(base, "cgroup.subtree_control"), "+memory +pids");
    const child = spawn({ file: "sleep", args: ["60"] });
    t.after(() => {
      tree.remove(path);
    });
    tree.delegate();
    if (base !== undefined) writeFileSync(join(base, "cgroup.subtree_control"), "+cpu +memory +pids");
    for (const folder of controllerFolders(path)) {
      mkdirSync(folder);
      seedCpuset(folder);
      writeFileSync(join(folder, "cgroup.procs"), `${child.pid}`);
    }
    return { path, pid: child.pid, exited: child.exited };
  }

  function controllerFolders(path: string): string[] {
    if (base !== undefined) return [join(base, path)];
    return ["freezer", "pids", "memory", "cpu", "cpuset"].map((name) => join("/sys/fs/cgroup", name, path));
  }

  function seedCpuset(folder: string): void {
    if (base !== undefined || !existsSync(join(folder, "cpuset.cpus"))) return;
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      writeFileSync(join(folder, file), readFileSync(join(folder, "..", file)));
    }
  }

  it("lists, freezes, thaws, limits, counts, kills and removes", async (t) => {
    const { path, pid, exited } = group(t);
    assert.deepEqual(tree.pids(path), [pid]);

    await tree.freeze(path);
    assert.match(readFileSync(`/proc/${pid}/status`, "utf8"), /^State:\s+[DS]/m);
    assert.equal(tree.remove(path), false, "a group in use stays");
    await tree.thaw(path);

    tree.update(path, { memory: 64 << 20, memorySwap: 128 << 20, pids: 10 });
    tree.update(path, { memory: 32 << 20, memorySwap: 32 << 20 });
    tree.update(path, { memory: 256 << 20, memorySwap: 512 << 20 });
    const stats = tree.stats(path);
    assert.equal(stats.memory_stats.limit, 256 << 20);
    assert.deepEqual(stats.pids_stats, { current: 1, limit: 10 });
    const oomFile = tree.oomFile(path);
    assert.match(readFileSync(oomFile ?? "", "utf8"), /^oom_kill 0$/m);

    await tree.freeze(path);
    tree.killAll(path);
    await exited;
    while (!tree.remove(path)) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(tree.exists(path), false);
  });

  it("inside a container, whose root has processes, still lets groups be limited", async (t) => {
    if (base === undefined) return t.skip("needs control groups of version 2");
    const { path, pid, exited } = group(t);
    const inner = openCgroups(join(base, path));
    inner.delegate();
    inner.delegate();
    assert.deepEqual(inner.pids("/init"), [pid]);
    mkdirSync(join(base, path, "box"));
    inner.update("/box", { memory: 64 << 20, pids: 10 });
    assert.equal(inner.stats("/box").memory_stats.limit, 64 << 20);
    inner.killAll("/init");
    await exited;
    while (!tree.remove(path)) await new Promise((resolve) => setTimeout(resolve, 1));
  });

  it("says that a group which is gone cannot be frozen", async () => {
    await assert.rejects(tree.freeze("/gantry-test-none"), { code: "ENOENT" });
  });
});
