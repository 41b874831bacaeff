/** Containers under AppArmor, where the kernel has it: the virtual machine of cgroup2.test.ts does. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { readHost } from "../src/kernel/host.ts";
import { ownDaemon } from "./lib/own-daemon.ts";

const skip =
  (process.getuid?.() !== 0 && "needs root") ||
  (!existsSync("/usr/bin/busybox") && "needs busybox-static") ||
  (!readHost().appArmor && "the kernel has no AppArmor; cgroup2.test.ts runs this on one that has");

describe("AppArmor", { skip }, () => {
  const daemon = ownDaemon();

  /** The exit code and the profile that inspect names. */
  async function run(script: string, HostConfig: object) {
    const body = { Image: "busybox", Cmd: ["sh", "-c", script], HostConfig: { NetworkMode: "none", ...HostConfig } };
    const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", body);
    await daemon.call("POST", `/containers/${Id}/start`);
    const { StatusCode } = await daemon.call<{ StatusCode: number }>("POST", `/containers/${Id}/wait`);
    const { AppArmorProfile } = await daemon.call<{ AppArmorProfile: string }>("GET", `/containers/${Id}/json`);
    await daemon.call("DELETE", `/containers/${Id}`);
    return { code: StatusCode, profile: AppArmorProfile };
  }

  const confined = "grep -q 'docker-default (enforce)' /proc/self/attr/current";
  const unconfined = "grep -q unconfined /proc/self/attr/current";

  for (const Runtime of ["crun", "runc"]) {
    it(`confines a container unless it is told otherwise (${Runtime})`, async () => {
      assert.deepEqual(await run(confined, { Runtime }), { code: 0, profile: "docker-default" });
      const off = { Runtime, SecurityOpt: ["apparmor=unconfined"] };
      assert.deepEqual(await run(unconfined, off), { code: 0, profile: "unconfined" });
      assert.deepEqual(await run(unconfined, { Runtime, Privileged: true }), { code: 0, profile: "unconfined" });
    });
  }

  it("keeps a container with all capabilities from mounting, and not from its own files and processes", async () => {
    const CapAdd = ["ALL"];
    assert.notEqual((await run("mkdir /m && mount -t tmpfs x /m", { CapAdd })).code, 0);
    assert.equal(
      (await run("mkdir /m && mount -t tmpfs x /m", { CapAdd, SecurityOpt: ["apparmor=unconfined"] })).code,
      0,
    );
    const own = "sleep 60 & kill $! && wait $!; echo x >/x && chmod 700 /x && echo 5 >/proc/self/oom_score_adj";
    assert.equal((await run(own, {})).code, 0);
  });

  it("refuses a profile that nobody loaded", async () => {
    await assert.rejects(run("true", { SecurityOpt: ["apparmor=nobody-loaded-this"] }), /apparmor|nobody-loaded-this/i);
  });
});
