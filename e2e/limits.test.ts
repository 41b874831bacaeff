/** A container's limits by the API, from its start to its end, on whichever version of control groups this machine has. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { before, describe, it } from "node:test";
import type { ContainerStats } from "../src/api/types/container.ts";
import type { SystemInfo } from "../src/api/types/system.ts";
import { openCgroups } from "../src/kernel/cgroups.ts";
import { RESOURCE_FIELDS } from "./api/resource-fields.ts";
import { Try } from "./api/try.ts";
import { ownDaemon } from "./lib/own-daemon.ts";

const skip = (process.getuid?.() !== 0 || !existsSync("/usr/bin/busybox")) && "needs root and busybox-static";

describe("the daemon", { skip }, () => {
  const daemon = ownDaemon();
  let info: SystemInfo;
  before(async () => {
    info = await daemon.call<SystemInfo>("GET", "/info");
  });

  async function start(script: string, HostConfig: object): Promise<string> {
    const body = { Image: "busybox", Cmd: ["sh", "-c", script], HostConfig: { NetworkMode: "none", ...HostConfig } };
    const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", body);
    await daemon.call("POST", `/containers/${Id}/start`);
    return `/containers/${Id}`;
  }

  const state = async (path: string) =>
    (await daemon.call<{ State: { Status: string; OOMKilled: boolean; ExitCode: number } }>("GET", `${path}/json`))
      .State;

  it("says which version this machine has", () => {
    assert.equal(info.CgroupVersion, String(openCgroups().version));
  });

  // Version 1, which most machines of tests have, is seen to by api-page.test.ts.
  if (openCgroups().version === 2)
    for (const { name, check, needs } of RESOURCE_FIELDS)
      if (check !== undefined && name !== "DeviceRequests")
        it(`keeps ${name}`, async (t) => {
          const at = new Try(daemon, "");
          if (needs !== undefined && !needs(at.features)) return t.skip("this kernel lacks it");
          try {
            await check(at);
          } finally {
            await at.clear();
          }
        });

  for (const Runtime of ["crun", "runc"]) {
    it(`limits, counts, pauses, changes and ends a container (${Runtime})`, async (t) => {
      if (info.Runtimes?.[Runtime] === undefined) return t.skip(`${Runtime} is not installed`);
      const limits = { Memory: 64 << 20, PidsLimit: 20, NanoCpus: 0.5e9, MemorySwappiness: 10, OomKillDisable: false };
      const path = await start("while :; do :; done", { Runtime, ...limits });
      const stats = await daemon.call<ContainerStats>("GET", `${path}/stats?stream=false`);
      assert.equal(stats.memory_stats?.limit, 64 << 20);
      assert.deepEqual(stats.pids_stats, { current: 1, limit: 20 });
      assert.ok((stats.cpu_stats?.cpu_usage?.total_usage ?? 0) > 0);
      await daemon.call("POST", `${path}/pause`);
      assert.equal((await state(path)).Status, "paused");
      await daemon.call("POST", `${path}/unpause`);
      await daemon.call("POST", `${path}/update`, { Memory: 32 << 20, MemorySwap: 64 << 20 });
      const changed = await daemon.call<ContainerStats>("GET", `${path}/stats?stream=false&one-shot=true`);
      assert.equal(changed.memory_stats?.limit, 32 << 20);
      await daemon.call("POST", `${path}/kill`);
      assert.deepEqual(await daemon.call("POST", `${path}/wait`), { StatusCode: 137 });
      assert.equal((await state(path)).OOMKilled, false);
      await daemon.call("DELETE", path);
    });

    it(`says that a container ran out of memory (${Runtime})`, async (t) => {
      if (info.Runtimes?.[Runtime] === undefined) return t.skip(`${Runtime} is not installed`);
      const path = await start("x=a; while :; do x=$x$x; done", { Runtime, Memory: 8 << 20 });
      await daemon.call("POST", `${path}/wait`);
      const { ExitCode, OOMKilled } = await state(path);
      assert.deepEqual({ ExitCode, OOMKilled }, { ExitCode: 137, OOMKilled: true });
      await daemon.call("DELETE", path);
    });
  }
});
