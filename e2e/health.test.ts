/** What follows when a container becomes unhealthy, as each CLI can ask for it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startDaemon } from "../src/testing/daemon.ts";
import { Cli, type CliName, missing } from "./lib/cli.ts";

const WISHES: Readonly<Record<CliName, readonly string[]>> = {
  docker: ["--annotation", "gantry.health-on-failure=restart"],
  gantry: ["--health-on-failure", "restart"],
};

for (const name of ["docker", "gantry"] satisfies CliName[])
  describe(name, { skip: missing(name) }, () => {
    test("an unhealthy container is started again where that was wished", async () => {
      await using daemon = await startDaemon();
      const cli = new Cli(name, daemon);
      const health = ["--health-cmd", "false", "--health-interval", "100ms", "--health-retries", "1"];
      await cli.ok(
        "run",
        "-d",
        "--name",
        "sick",
        ...health,
        ...WISHES[name],
        "--stop-timeout",
        "0",
        "busybox",
        "sleep",
        "1000",
      );
      while (Number(await cli.ok("inspect", "-f", "{{.RestartCount}}", "sick")) < 2) await sleep(50);
      assert.match(daemon.log(), /an unhealthy container is taken care of.*action=restart/);
      const refused = await cli.run("run", "--annotation", "gantry.health-on-failure=cry", "busybox", "true");
      assert.equal(refused.code, 125);
      assert.match(refused.err, /invalid action on health failure 'cry'/);
    });
  });
