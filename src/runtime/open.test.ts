import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { HostConfig } from "../api/types/container.ts";
import { newId } from "../base/ids.ts";
import { openRuntime } from "./open.ts";
import { buildExecProcess } from "./process.ts";
import { cgroups, missing, workbench } from "./runtime.fixture.ts";
import type { ExecRequest, StartRequest, Task } from "./runtime.ts";
import type { Process } from "./spec-types.ts";
import { startErrorExitCode } from "./start-errors.ts";

describe("running containers", { skip: missing }, () => {
  const bench = workbench();
  const { paths, end } = bench;

  interface Wishes {
    readonly hostConfig?: HostConfig;
    readonly tty?: boolean;
    readonly runtime?: string;
    readonly cwd?: string;
  }

  function request(command: string[], { hostConfig = {}, tty = false, runtime, cwd = "" }: Wishes = {}): StartRequest {
    return bench.request({ Cmd: command, Tty: tty, WorkingDir: cwd }, hostConfig, runtime);
  }

  /** Runs to the end; what was written, by lines. */
  async function output(start: StartRequest): Promise<{ lines: string[]; exitCode: number }> {
    const task = await bench.runtime.start(start);
    return { lines: await bench.lines(task), exitCode: (await task.exited).exitCode };
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
    return { task: await bench.runtime.start(start), start };
  }

  for (const name of ["crun", "runc"]) {
    describe(`by ${name}`, () => {
      const available = () => bench.runtime.runtimes.some((found) => found.name === name);

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
          await assert.rejects(bench.runtime.start(start), (error: Error) => {
            assert.match(error.message, message);
            assert.equal(startErrorExitCode(error), code);
            return true;
          });
          assert.equal(existsSync(join(paths.runtimeState, name, start.id)), false);
          assert.equal(cgroups.exists(`${bench.parent}/${start.id}`), false);
        }
      });

      it("runs execs under the same filter, with their own exit codes and errors", async (t) => {
        if (!available()) return t.skip(`${name} is not installed`);
        const { task, start } = await sleeping({ runtime: name });
        const script = "unshare -n true 2>/dev/null && exit 1; exit 3";
        const exec = await bench.runtime.exec(execRequest(task.id, start.spec.process, ["sh", "-c", script]));
        assert.equal((await exec.exited).exitCode, 3);
        await assert.rejects(bench.runtime.exec(execRequest(task.id, start.spec.process, ["nosuch"])), {
          message: /^OCI runtime exec failed: .*"nosuch": executable file not found in \$PATH: unknown$/,
        });
        await end(task);
      });

      it("pauses, resumes, limits, lists, and is gone after the end", async (t) => {
        if (!available()) return t.skip(`${name} is not installed`);
        const { task } = await sleeping({ runtime: name });
        assert.deepEqual(await bench.runtime.pids(task.id), [task.pid]);
        await bench.runtime.pause(task.id);
        await bench.runtime.resume(task.id);
        await bench.runtime.update(task.id, { Memory: 64 << 20, MemorySwap: 128 << 20, PidsLimit: 20 });
        assert.equal(cgroups.stats(`${bench.parent}/${task.id}`).pids_stats.limit, 20);
        await end(task);
        assert.equal(cgroups.exists(`${bench.parent}/${task.id}`), false);
        assert.deepEqual(await bench.runtime.pids(task.id), []);
        await assert.rejects(bench.runtime.pause(task.id), { kind: "not-found" });
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
    const task = await bench.runtime.start(
      request(["sh", "-c", script], { hostConfig: { Memory: 8 << 20, MemorySwap: 8 << 20 } }),
    );
    const exit = await task.exited;
    assert.deepEqual({ code: exit.exitCode, oomKilled: exit.oomKilled }, { code: 137, oomKilled: true });
    await task.released;
  });

  it("kills every process of a container at once", async () => {
    const task = await bench.runtime.start(request(["sh", "-c", "sleep 600 & sleep 600 & wait"]));
    while ((await bench.runtime.pids(task.id)).length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    await end(task);
    assert.deepEqual(await bench.runtime.pids(task.id), []);
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
    await bench.runtime.cleanup(task.id);
    await task.exited;
    await task.released;
    assert.equal(cgroups.exists(`${bench.parent}/${task.id}`), false);
    await bench.runtime.cleanup(task.id);
    await bench.runtime.cleanup(newId());
  });

  it("refuses a runtime that is not there", async () => {
    await assert.rejects(bench.runtime.start(request(["true"], { runtime: "kata" })), {
      kind: "invalid",
      message: "unknown or invalid runtime name: kata",
    });
    await assert.rejects(openRuntime({ paths, settings: { defaultRuntime: "kata" } }), { message: /kata/ });
  });

  it("starts many containers at once", async () => {
    const tasks = await Promise.all(Array.from({ length: 12 }, () => bench.runtime.start(request(["true"]))));
    for (const task of tasks) {
      assert.equal((await task.exited).exitCode, 0);
      await task.released;
    }
  });
});
