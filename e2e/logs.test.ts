/** Log drivers and their options, with the real docker CLI and with gantry: both must give the same. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, type CliName, missing } from "./lib/cli.ts";

for (const name of ["docker", "gantry"] satisfies CliName[]) describe(name, { skip: missing(name) }, () => suite(name));

function suite(name: CliName): void {
  let daemon: TestDaemon;
  let cli: Cli;
  before(async () => {
    daemon = await startDaemon();
    cli = new Cli(name, daemon);
  });
  after(() => daemon[Symbol.asyncDispose]());

  const options = (...values: string[]) => values.flatMap((value) => ["--log-opt", value]);

  test("labels, variables and a tag are in every line, and --details shows them", async () => {
    const log = options("labels=tier", "env-regex=^REG", "tag={{.ImageName}}/{{.Name}}");
    const subject = ["--name", "told", "--label", "tier=front", "-e", "REGION=eu", "-e", "SECRET=no"];
    await cli.ok("run", ...subject, ...log, "busybox", "echo", "hello");
    const path = await cli.ok("inspect", "-f", "{{.LogPath}}", "told");
    const { attrs, stream } = JSON.parse(readFileSync(path, "utf8"));
    assert.deepEqual([attrs, stream], [{ REGION: "eu", tag: "busybox/told", tier: "front" }, "stdout"]);
    assert.equal(await cli.ok("logs", "told"), "hello");
    assert.equal(await cli.ok("logs", "--details", "told"), "REGION=eu,tag=busybox%2Ftold,tier=front hello");
    assert.match(
      await cli.ok("logs", "--details", "-t", "told"),
      /^\S+Z REGION=eu,tag=busybox%2Ftold,tier=front hello$/,
    );
    await cli.ok("rm", "told");
    const refused = await cli.run("run", "--rm", ...options("tag={{.Nothing}}"), "busybox", "true");
    assert.equal(refused.code, 125);
    assert.match(refused.err, /invalid log opt tag: /);
  });
}
