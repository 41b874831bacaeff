import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
import { buildExecProcess } from "./process.ts";
import type { ExecRequest, Runtime, StartRequest, Task } from "./runtime.ts";
import { buildSpec } from "./spec.ts";
import type { Process } from "./spec-types.ts";
import { startErrorExitCode } from "./start-errors.ts";

const BUSYBOX = "/usr/bin/busybox";
const cgroups = openCgroups();
const missing = [
  ...(process.getuid?.() === 0 ? [] : ["root"]),
  ...(existsSync(BUSYBOX) ? [] : ["busybox-static"]),
  ...(existsSync(MONITOR_PATH) ? [] : ["gantry-monitor (make -C native)"]),
];

describe("running containers", { skip: missing.length > 0 && `needs ${missing.join(", ")}` }, () => {
  const root = mkdtempSync(join(tmpdir(), "runtime-"));
  const paths = makePaths(join(root, "data"), join(root, "run"));
  const rootfs = join(root, "rootfs");
  const parent = `/gantry-test-${process.pid}`;
  const started: string[] = [];
  let runtime: Runtime;

  before(async () => {
    for (const folder of ["bin", "etc", "proc", "sys", "dev", "tmp"])
      mkdirSync(join(rootfs, folder), { recursive: true });
    cpSync(BUSYBOX, join(rootfs, "bin/busybox"));
    writeFileSync(join(rootfs, "bin/sh"), "");
    rmSync(join(rootfs, "bin/sh"));
    for (const name of ["sh", "sleep", "true", "cat", "id", "unshare", "stty"])
      cpSync(BUSYBOX, join(rootfs, "bin", name));
    writeFileSync(join(rootfs, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
    mkdirSync(paths.runtimeState, { recursive: true });
    runtime = await openRuntime({ paths });
  });

  after(async () => {
    for (const id of started) await runtime.cleanup(id);
    cgroups.remove(parent);
    rmSync(root, { recursive: true, force: true });
  });

  interface Wishes {
    readonly hostConfig?: HostConfig;
    readonly tty?: boolean;
    readonly runtime?: string;
    readonly cwd?: string;
  }

  function request(command: string[], { hostConfig = {}, tty = false, runtime, cwd = "" }: Wishes = {}): StartRequest {
    const id = newId();
    started.push(id);
    mkdirSync(paths.bundle(id), { recursive: true });
    const spec = buildSpec({
      config: { Cmd: command, Tty: tty, WorkingDir: cwd },
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
      host: readHost(),
    });
    const log = { driver: "json-file" as const, path: join(paths.bundle(id), "log") };
    return { id, bundle: paths.bundle(id), spec, runtime, terminal: tty, stdin: false, stdinOnce: false, log };
  }

  /** Runs to the end; what was written, by lines. */
  async function output(start: StartRequest): Promise<{ lines: string[]; exitCode: number }> {
    const task = await runtime.start(start);
    const { exitCode } = await task.exited;
    await task.released;
    const text = readFileSync(start.log.path ?? "", "utf8");
    const lines = text
      .split("\n")
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { log: string }).log.trimEnd());
    return { lines, exitCode };
  }

  function execRequest(containerId: string, container: Process, args: string[]): ExecRequest {
    const execId = newId();
    const bundle = paths.exec(execId);
    mkdirSync(bundle, { recursive: true });
    const exec = buildExecProcess({ container, args, tty: false, privileged: false, availableCapabilities: [] });
    const containerBundle = paths.bundle(containerId);
    return { execId, containerId, containerBundle, bundle, process: exec, terminal: false, stdin: false };
  }

  async function sleeping(wishes?: Wishes): Promise<{ task: Task; start: StartRequest }> {
    const start = request(["sleep", "600"], wishes);
    return { task: await runtime.start(start), start };
  }

  async function end(task: Task): Promise<void> {
    await task.killAll(9);
    await task.exited;
    await task.released;
  }

  for (const name of ["crun", "runc"]) {
    describe(`by ${name}`, () => {
      const available = () => runtime.runtimes.some((found) => found.name === name);

      it("gives the exit code, the environment and Docker's security", async (t) => {
        if (!available()) return t.skip(`${name} is not installed`);
        const script =
          "id -u; echo $HOSTNAME $HOME; cat /proc/self/status | while read a b; do case $a in Cap[EPB]*|Seccomp:) echo $a $b;; esac; done; unshare -n true 2>&1; exit 7";
        const { lines, exitCode } = await output(request(["sh", "-c", script], { runtime: name }));
        assert.equal(exitCode, 7);
        assert.deepEqual(lines.slice(0, 2), ["0", "box /root"]);
        assert.deepEqual(lines.slice(2, 6), [
          "CapPrm: 00000000a80425fb",
          "CapEff: 00000000a80425fb",
          "CapBnd: 00000000a80425fb",
          "Seccomp: 2",
        ]);
        assert.match(lines[6] ?? "", /Operation not permitted/);
      });

      it("refuses what cannot run with Docker's texts and leaves nothing", async (t) => {
        if (!available()) return t.skip(`${name} is not installed`);
        const expected: [string, RegExp, number][] = [
          ["nosuch", /exec: "nosuch": executable file not found in \$PATH: unknown$/, 127],
          ["/nosuch", /exec: "\/nosuch": stat \/nosuch: no such file or directory: unknown$/, 127],
          ["/etc/passwd", /exec: "\/etc\/passwd": permission denied: unknown$/, 126],
        ];
        for (const [command, message, code] of expected) {
          const start = request([command], { runtime: name });
          await assert.rejects(runtime.start(start), (error: Error) => {
            assert.match(error.message, message);
            assert.equal(startErrorExitCode(error), code);
            return true;
          });
          assert.equal(existsSync(join(paths.runtimeState, name, start.id)), false);
          assert.equal(cgroups.exists(`${parent}/${start.id}`), false);
        }
      });

      it("runs execs under the same filter, with their own exit codes and errors", async (t) => {
        if (!available()) return t.skip(`${name} is not installed`);
        const { task, start } = await sleeping({ runtime: name });
        const script = "unshare -n true 2>/dev/null && exit 1; exit 3";
        const exec = await runtime.exec(execRequest(task.id, start.spec.process, ["sh", "-c", script]));
        assert.equal((await exec.exited).exitCode, 3);
        await assert.rejects(runtime.exec(execRequest(task.id, start.spec.process, ["nosuch"])), {
          message: /^OCI runtime exec failed: .*"nosuch": executable file not found in \$PATH: unknown$/,
        });
        await end(task);
      });

      it("pauses, resumes, limits, lists, and is gone after the end", async (t) => {
        if (!available()) return t.skip(`${name} is not installed`);
        const { task } = await sleeping({ runtime: name });
        assert.deepEqual(await runtime.pids(task.id), [task.pid]);
        await runtime.pause(task.id);
        await runtime.resume(task.id);
        await runtime.update(task.id, { Memory: 64 << 20, MemorySwap: 128 << 20, PidsLimit: 20 });
        assert.equal(cgroups.stats(`${parent}/${task.id}`).pids_stats.limit, 20);
        await end(task);
        assert.equal(cgroups.exists(`${parent}/${task.id}`), false);
        assert.deepEqual(await runtime.pids(task.id), []);
        await assert.rejects(runtime.pause(task.id), { kind: "not-found" });
      });
    });
  }

  it("takes a terminal", async () => {
    const { lines } = await output({
      ...request(["sh", "-c", "stty size; echo $TERM"], { tty: true }),
      size: [33, 77],
    });
    assert.deepEqual(lines, ["33 77", "xterm"]);
  });

  it("sees a container that used up its memory", async (t) => {
    if (!cgroups.features.memoryLimit) return t.skip("memory is not accounted here");
    const script = "x=a; while true; do x=$x$x; done";
    const task = await runtime.start(
      request(["sh", "-c", script], { hostConfig: { Memory: 8 << 20, MemorySwap: 8 << 20 } }),
    );
    const exit = await task.exited;
    assert.deepEqual({ code: exit.exitCode, oomKilled: exit.oomKilled }, { code: 137, oomKilled: true });
    await task.released;
  });

  it("kills every process of a container at once", async () => {
    const task = await runtime.start(request(["sh", "-c", "sleep 600 & sleep 600 & wait"]));
    while ((await runtime.pids(task.id)).length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    await end(task);
    assert.deepEqual(await runtime.pids(task.id), []);
  });

  it("finds a running container again after a restart, and the exit of an ended one", async () => {
    const { task } = await sleeping();
    task.release();
    const second = await openRuntime({ paths });
    const found = await second.open(task.id, paths.bundle(task.id));
    assert.ok("task" in found);
    assert.equal(found.task.pid, task.pid);
    await end(found.task);
    const ended = await second.open(task.id, paths.bundle(task.id));
    assert.ok("exit" in ended);
    assert.equal(ended.exit.exitCode, 137);
    const lost = request(["true"]);
    assert.deepEqual(await second.open(lost.id, lost.bundle), { lost: true });
  });

  it("cleans up a container whatever state it is in, and again", async () => {
    const { task } = await sleeping();
    await runtime.cleanup(task.id);
    await task.exited;
    await task.released;
    assert.equal(cgroups.exists(`${parent}/${task.id}`), false);
    await runtime.cleanup(task.id);
    await runtime.cleanup(newId());
  });

  it("refuses a runtime that is not there", async () => {
    await assert.rejects(runtime.start(request(["true"], { runtime: "kata" })), {
      kind: "invalid",
      message: "unknown or invalid runtime name: kata",
    });
    await assert.rejects(openRuntime({ paths, settings: { defaultRuntime: "kata" } }), { message: /kata/ });
  });

  it("starts many containers at once", async () => {
    const tasks = await Promise.all(Array.from({ length: 12 }, () => runtime.start(request(["true"]))));
    for (const task of tasks) {
      assert.equal((await task.exited).exitCode, 0);
      await task.released;
    }
  });
});
