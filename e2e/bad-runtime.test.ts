/** A runtime that fails at each step: every request ends with an answer, and nothing is left of the container. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountTable } from "../src/kernel/mounts.ts";
import { processesOf, startDaemon, type TestDaemon } from "../src/testing/daemon.ts";

/** Says no, is killed, or says that it did and did nothing, as the file beside it says: "COMMAND fail", "COMMAND kill", "COMMAND silent". */
const RUNTIME = `#!/bin/sh
here=$(dirname "$0")
for word in "$@"; do case "$word" in run|create|start|exec|delete|kill|state|--version) command=$word; break;; esac; done
mode=$(sed -n "s/^$command //p" "$here/mode" 2>/dev/null)
case "$mode" in
  fail) echo "cannot do it: $command" >&2; exit 1;;
  kill) kill -9 $$;;
  silent) exit 0;;
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
    daemon = await startDaemon({ flags: ["--add-runtime", `bad=${join(folder, "runtime")}`] });
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
    const mounts = mountTable().filter(({ target }) => target.startsWith(daemon.folder) && !target.includes("/netns/"));
    assert.deepEqual(
      mounts.map(({ target }) => target),
      [],
    );
  };

  for (const how of ["fail", "kill", "silent"])
    test(`its run ends by "${how}": the start is refused, the container can be started when the runtime is well`, async () => {
      mode(`run ${how}`);
      const id = await create();
      await assert.rejects(start(id), how === "fail" ? /cannot do it: run/ : /40\d|500/);
      assert.equal((await state(id)).Status, "created");
      mode("");
      await start(id);
      assert.equal((await state(id)).Status, "running");
      await daemon.call("DELETE", `/containers/${id}?force=1`);
      await nothingLeft();
    });

  test("its exec fails or is killed: the exec is refused, the container goes on", async () => {
    mode("");
    const id = await create();
    await start(id);
    for (const how of ["fail", "kill"]) {
      mode(`exec ${how}`);
      const { Id } = await daemon.call<{ Id: string }>("POST", `/containers/${id}/exec`, { Cmd: ["true"] });
      await assert.rejects(daemon.call("POST", `/exec/${Id}/start`, { Detach: true }), how);
      assert.equal((await state(id)).Status, "running");
    }
    mode("");
    await daemon.call("DELETE", `/containers/${id}?force=1`);
    await nothingLeft();
  });

  for (const how of ["fail", "kill"])
    test(`its delete ends by "${how}": the container stops and is removed all the same`, async () => {
      mode(`delete ${how}\nkill ${how}\nstate ${how}`);
      const id = await create();
      await start(id);
      await daemon.call("POST", `/containers/${id}/stop?t=0`);
      assert.equal((await state(id)).Status, "exited");
      await daemon.call("DELETE", `/containers/${id}?force=1`);
      mode("");
      await nothingLeft();
    });
});
