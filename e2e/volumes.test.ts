/** What Gantry does with volumes that Docker does not: snapshots, clones, archives, while a container writes to them. */
import assert from "node:assert/strict";
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startDebianRegistry } from "../src/testing/debian-registry.ts";
import { Cli } from "./lib/cli.ts";
import { ownDaemon } from "./lib/own-daemon.ts";
import { startRegistryProcess } from "./lib/registry-process.ts";

/** Two files that are always whole, and agree once a round is over: at any one moment the first is at most one ahead. */
const WRITER =
  "cd /data; i=0; while :; do i=$((i+1)); for f in first second; do echo $i > .new; mv .new $f; done; done";

describe("volumes that are in use", () => {
  const daemon = ownDaemon();
  let cli: Cli;
  before(async () => {
    cli = new Cli("gantry", daemon);
    await cli.ok(
      "run",
      "-d",
      "--name",
      "writer",
      "-v",
      "data:/data",
      "--network",
      "none",
      "busybox",
      "sh",
      "-c",
      WRITER,
    );
  });

  const show = (volume: string) =>
    cli.ok("run", "--rm", "--network", "none", "-v", `${volume}:/v`, "busybox", "cat", "/v/first", "/v/second");
  const status = () => cli.ok("inspect", "-f", "{{.State.Status}}", "writer");
  const advances = async () => {
    const file = join(daemon.dataRoot, "volumes/data/_data/first");
    const before = readFileSync(file, "utf8");
    while (readFileSync(file, "utf8") === before) await sleep(10);
  };

  test("a snapshot is of one moment, read-only, and the container goes on", async () => {
    assert.equal(await cli.ok("volume", "snapshot", "data", "monday"), "monday");
    const [first, second] = (await show("monday")).split("\n").map(Number);
    assert.ok(
      first !== undefined && second !== undefined && first - second <= 1 && first >= second,
      `${first} ${second}`,
    );
    const refused = await cli.run("run", "--rm", "-v", "monday:/v", "busybox", "touch", "/v/x");
    assert.deepEqual([refused.code, /Read-only file system/.test(refused.err)], [1, true]);
    assert.equal(await status(), "running");
    await advances();
  });

  test("prune leaves snapshots alone, rm takes them", async () => {
    await cli.ok("volume", "snapshot", "data", "tuesday");
    await cli.ok("volume", "prune", "-af");
    assert.deepEqual(
      (await cli.ok("volume", "ls", "-q")).split("\n").filter((name) => name === "tuesday"),
      ["tuesday"],
    );
    await cli.ok("volume", "rm", "tuesday");
  });

  test("an archive of it makes the same volume elsewhere, and a clone takes its own way", async () => {
    const archive = join(daemon.folder, "data.tar");
    await cli.ok("volume", "export", "-o", archive, "data");
    assert.equal(await cli.ok("volume", "import", "-i", archive, "elsewhere"), "elsewhere");
    assert.match(await show("elsewhere"), /^\d+\n\d+$/);
    await cli.ok("volume", "clone", "elsewhere", "twin");
    await cli.ok("run", "--rm", "-v", "twin:/v", "busybox", "sh", "-c", "echo changed > /v/first");
    assert.doesNotMatch(await show("elsewhere"), /changed/);
    writeFileSync(archive, "nothing of the kind");
    const refused = await cli.run("volume", "import", "-i", archive, "broken");
    assert.equal(refused.code, 1);
    assert.doesNotMatch(await cli.ok("volume", "ls", "-q"), /broken/);
  });

  test("a volume in use is not put back, one that is free is", async () => {
    await cli.ok("volume", "snapshot", "data", "before");
    const kept = await show("before");
    const refused = await cli.run("volume", "restore", "-f", "data", "before");
    assert.deepEqual([refused.code, /in use[\s\S]*stop the containers/.test(refused.err)], [1, true], refused.err);
    await cli.ok("stop", "-t", "0", "writer");
    await cli.ok("volume", "restore", "-f", "data", "before");
    assert.equal(await show("data"), kept);
    await cli.ok("start", "writer");
  });

  test("registries keep volumes as they keep images: Debian's, and Gantry's", async () => {
    await using debian = await startDebianRegistry();
    await using gantry = await startRegistryProcess("--root", join(daemon.folder, "registry"));
    await cli.ok("volume", "snapshot", "data", "kept");
    for (const registry of [debian, gantry]) await throughRegistry(registry);
  });

  const throughRegistry = async (registry: { readonly host: string }) => {
    const name = `${registry.host}/backups/data:v1`;
    assert.match(await cli.ok("volume", "push", "kept", name), /v1: digest: sha256:[0-9a-f]{64} size: \d+$/);
    await cli.ok("volume", "pull", "-q", name, "back");
    assert.equal(await show("back"), await show("kept"));
    const twice = await cli.run("volume", "pull", name, "back");
    assert.deepEqual([twice.code, /is not empty/.test(twice.err)], [1, true], twice.err);
    const image = `${registry.host}/busybox:1`;
    await cli.ok("tag", "busybox", image);
    await cli.ok("push", "-q", image);
    const wrong = await cli.run("volume", "pull", image, "other");
    assert.deepEqual([wrong.code, /is no volume/.test(wrong.err)], [1, true], wrong.err);
    assert.doesNotMatch(await cli.ok("volume", "ls", "-q"), /other/);
    await cli.ok("volume", "rm", "back");
  };

  test("a kill -9 while everything stands still leaves no paused container, no half volume, no archive", async () => {
    await cli.ok(
      "run",
      "--rm",
      "-v",
      "data:/data",
      "busybox",
      "sh",
      "-c",
      "for i in $(seq 3000); do echo $i > /data/n$i; done",
    );
    const making = cli.run("volume", "clone", "data", "cut-short");
    // Held for the last pass only, which looks at three thousand files.
    const paused = async () =>
      (await daemon.call<{ State: { Paused: boolean } }>("GET", "/containers/writer/json")).State.Paused;
    while (!(await paused())) assert.equal(await Promise.race([making.then(() => "made"), sleep(1, "")]), "");
    await daemon.kill("SIGKILL");
    await making;
    await daemon.start();
    assert.equal(await status(), "running");
    await advances();
    const names = (await cli.ok("volume", "ls", "-q")).split("\n");
    if (names.includes("cut-short")) assert.match(await show("cut-short"), /^\d+\n\d+$/);
  });

  test("a reader that goes away leaves nothing of an export", async () => {
    const response = await daemon.open("GET", "/volumes/data/export");
    response.pipe(createWriteStream("/dev/null"));
    response.destroy();
    await sleep(50);
    await cli.ok("rm", "-f", "writer");
    for (let tries = 0; (await cli.run("volume", "rm", "data")).code !== 0; tries++) {
      assert.ok(tries < 200, "the volume stays in use");
      await sleep(50);
    }
  });
});
