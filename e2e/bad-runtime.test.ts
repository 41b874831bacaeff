/** A runtime that fails at each step: every request ends with an answer, and nothing is left of the container. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountTable } from "../src/kernel/mounts.ts";
import { processesOf, startDaemon, type TestDaemon } from "../src/testing/daemon.ts";

/**
 * Says no, is killed, says that it did and did nothing, hangs with a process of its own, or prints without end or too much, as the file
 * beside it says: "COMMAND fail" and so on.
 */
const RUNTIME = `#!/bin/sh
here=$(dirname "$0")
for word in "$@"; do case "$word" in run|create|start|exec|delete|kill|state|pause|resume|update|ps|events|--version) command=$word; break;; esac; done
mode=$(sed -n "s/^$command //p" "$here/mode" 2>/dev/null)
case "$mode" in
  fail) echo "cannot do it: $command" >&2; exit 1;;
  kill) kill -9 $$;;
  silent) exit 0;;
  hang) echo "waiting for $command" >&2; sleep 600; exit 1;;
  endless) yes "no end of $command" | tee /dev/stderr; exit 1;;
  flood) head -c 300000 /dev/zero | tr '\\0' x | tee /dev/stderr; echo >&2; echo "flooded: $command" >&2; exit 1;;
  chatty) head -c 100000 /dev/zero | tr '\\0' x | tee /dev/stderr;;
esac
exec runc "$@"
`;

describe("a bad runtime", { skip: process.getuid?.() === 0 ? false : "needs root", timeout: 240_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-runtime-"));
  const mode = (text: string) => writeFileSync(join(folder, "mode"), text);
  let daemon: TestDaemon;
  before(async () => {
    writeFileSync(join(folder, "runtime"), RUNTIME);
    chmodSync(join(folder, "runtime"), 0o755);
    mode("");
    daemon = await startDaemon({
      flags: ["--add-runtime", `bad=${join(folder, "runtime")}`, "--runtime-timeout", "2"],
    });
  });
  after(async () => {
    mode("");
    await daemon?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const create = async (Cmd = ["sleep", "600"]) => {
    const body = { Image: "busybox", Cmd, HostConfig: { Runtime: "bad", NetworkMode: "none" } };
    return (await daemon.call<{ Id: string }>("POST", "/containers/create", body)).Id;
  };
  const start = (id: string) => daemon.call("POST", `/containers/${id}/start`);
  const state = async (id: string) =>
    (await daemon.call<{ State: { Status: string; Error: string } }>("GET", `/containers/${id}/json`)).State;
  const nothingLeft = async () => {
    for (let attempt = 0; attempt < 100 && processesOf(daemon.folder).length > 0; attempt++) await sleep(50);
    assert.deepEqual(processesOf(daemon.folder), [], "monitors");
    assert.deepEqual(processesNaming(join(folder, "runtime")), [], "runtimes");
    const mounts = mountTable().filter(({ target }) => target.startsWith(daemon.folder) && !target.includes("/netns/"));
    assert.deepEqual(
      mounts.map(({ target }) => target),
      [],
    );
  };

  const ERRORS: Readonly<Record<string, RegExp>> = {
    fail: /cannot do it: run/,
    kill: /40\d|500/,
    silent: /40\d|500/,
    hang: /500.*did not end within 2 s and was killed: waiting for run.*--runtime-timeout/s,
    endless: /500.*did not end within 2 s and was killed: \S/s,
    flood: /flooded: run/,
  };
  for (const [how, error] of Object.entries(ERRORS))
    test(`its run ends by "${how}": the start is refused, the container can be started when the runtime is well`, async () => {
      mode(`run ${how}`);
      const id = await create();
      await assert.rejects(start(id), error);
      assert.equal((await state(id)).Status, "created");
      mode("");
      await start(id);
      assert.equal((await state(id)).Status, "running");
      await daemon.call("DELETE", `/containers/${id}?force=1`);
      await nothingLeft();
    });

  test("its run and exec print 100 KB on each stream and do it: so does the engine, and what was printed is in the log", async () => {
    mode("run chatty\nexec chatty");
    const id = await create(["sh", "-c", "echo; echo word; sleep 600"]);
    await start(id);
    const { Id } = await daemon.call<{ Id: string }>("POST", `/containers/${id}/exec`, { Cmd: ["touch", "/done"] });
    await daemon.call("POST", `/exec/${Id}/start`, { Detach: true });
    await until(
      async () => (await daemon.open("HEAD", `/containers/${id}/archive?path=/done`)).resume().statusCode === 200,
    );
    await until(async () => {
      const log = await daemon.open("GET", `/containers/${id}/logs?stdout=1`);
      return Buffer.concat(await Array.fromAsync(log as AsyncIterable<Buffer>)).includes("word\n");
    });
    mode("");
    await daemon.call("DELETE", `/containers/${id}?force=1`);
    await nothingLeft();
  });

  test("its exec fails, hangs or floods: the exec is refused, the container goes on", async () => {
    mode("");
    const id = await create();
    await start(id);
    for (const how of ["fail", "kill", "hang", "endless", "flood"]) {
      mode(`exec ${how}`);
      const { Id } = await daemon.call<{ Id: string }>("POST", `/containers/${id}/exec`, { Cmd: ["true"] });
      await assert.rejects(daemon.call("POST", `/exec/${Id}/start`, { Detach: true }), how);
      assert.equal((await state(id)).Status, "running");
    }
    mode("");
    await daemon.call("DELETE", `/containers/${id}?force=1`);
    await nothingLeft();
  });

  test("everything but run, exec and delete works without it: a runtime that hangs in all of them is not waited for", async () => {
    mode("");
    const id = await create(["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"]);
    await start(id);
    mode(
      ["create", "start", "kill", "state", "pause", "resume", "update", "ps", "events"]
        .map((step) => `${step} hang`)
        .join("\n"),
    );
    await daemon.call("POST", `/containers/${id}/pause`);
    assert.equal((await state(id)).Status, "paused");
    await daemon.call("POST", `/containers/${id}/unpause`);
    await daemon.call("POST", `/containers/${id}/update`, { Memory: 64 << 20, MemorySwap: 64 << 20, CpuShares: 512 });
    await daemon.call("GET", `/containers/${id}/top`);
    await daemon.call("GET", `/containers/${id}/stats?stream=0`);
    await daemon.call("POST", `/containers/${id}/kill?signal=TERM`);
    assert.deepEqual(await daemon.call("POST", `/containers/${id}/wait`), { StatusCode: 3 });
    await daemon.call("DELETE", `/containers/${id}`);
    await nothingLeft();
  });

  test("a daemon that is killed while its runtime hangs comes back, and the container can be started", async () => {
    mode("run hang");
    const id = await create();
    const asked = start(id).catch(() => {});
    await until(() => processesNaming(join(folder, "runtime")).length > 0);
    await daemon.kill();
    await asked;
    await daemon.start();
    assert.notEqual((await state(id)).Status, "running");
    mode("");
    await start(id);
    await daemon.call("DELETE", `/containers/${id}?force=1`);
    await nothingLeft();
  });

  for (const how of ["fail", "kill", "hang", "endless", "flood"])
    test(`its delete ends by "${how}": the container stops and is removed all the same`, async () => {
      mode(`delete ${how}\nkill ${how}\nstate ${how}`);
      const id = await create();
      await start(id);
      await daemon.call("POST", `/containers/${id}/stop?t=0`);
      assert.equal((await state(id)).Status, "exited");
      if (how === "hang" || how === "fail") {
        // What the runtime did not forget is not in the way of the next run.
        await start(id);
        assert.equal((await state(id)).Status, "running");
      }
      await daemon.call("DELETE", `/containers/${id}?force=1`);
      mode("");
      await nothingLeft();
    });
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await condition()); await sleep(20))
    if (Date.now() > end) throw new Error(`it did not come to be: ${condition}`);
}

/** Pids of processes that have the text among their words. */
function processesNaming(text: string): string[] {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, "latin1").split("\0").includes(text);
    } catch {
      return false;
    }
  });
}
