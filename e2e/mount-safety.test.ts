/** Mounts whose sources somebody changes while they are made, and owners seen through a mapping. */

import assert from "node:assert/strict";
import { chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { mount, unmount } from "../src/kernel/mounts.ts";
import { eventually } from "../src/testing/api-harness.ts";
import { withEachCli } from "./lib/own-daemon.ts";

/** Makes the folder `part` a link, and a folder again, as fast as it can. */
const SWAP = `
  const { renameSync } = require("node:fs");
  const { workerData: folder } = require("node:worker_threads");
  const steps = [["part", "folder"], ["link", "part"], ["part", "link"], ["folder", "part"]];
  for (;;) for (const [from, to] of steps) renameSync(folder + "/" + from, folder + "/" + to);
`;

withEachCli((cli, daemon) => {
  const { name } = cli;
  const once = { skip: name === "gantry" && "the same for every client" };
  test("a part of a volume never leads out of it, also while its links change", once, async () => {
    const secret = join(daemon.folder, "secret");
    mkdirSync(secret);
    writeFileSync(join(secret, "of-the-host"), "");
    await cli.ok("volume", "create", "shared");
    const data = join(daemon.dataRoot, "volumes/shared/_data");
    mkdirSync(join(data, "part"));
    writeFileSync(join(data, "part", "inside"), "");
    symlinkSync(secret, join(data, "link"));
    const worker = new Worker(SWAP, { eval: true, workerData: data });
    worker.on("error", () => {});
    const seen = new Set<string>();
    try {
      const mounts = ["--mount", "type=volume,source=shared,target=/part,volume-subpath=part"];
      for (let tries = 0; tries < 30 || !seen.has("inside"); tries++) {
        assert.ok(tries < 300, "the folder was never there");
        const { code, out, err } = await cli.run(
          "run",
          "--rm",
          "--network",
          "none",
          ...mounts,
          "busybox",
          "ls",
          "/part",
        );
        if (code === 0) seen.add(out);
        else assert.match(err, /cannot access path part in volume shared: no such file or directory/);
      }
    } finally {
      await worker.terminate();
    }
    assert.deepEqual([...seen], ["inside"]);
    assert.equal(await cli.ok("ps", "-aq"), "");
  });

  const idMapped = (source: string, map: string) =>
    name === "docker"
      ? ["-v", `${source}:/m:idmap=${map}`]
      : ["--mount", `type=bind,source=${source},target=/m,idmap=${map}`];

  test("an id-mapped bind shows the container other owners, and gives new files the ones of the host", async () => {
    const folder = join(daemon.folder, "mapped");
    mkdirSync(folder);
    chownSync(folder, 1234, 5678);
    const bind = idMapped(folder, "uids=1234-0-1;gids=5678-0-1");
    assert.equal(await cli.ok("run", "--rm", ...bind, "busybox", "sh", "-c", "stat -c %u:%g /m; touch /m/new"), "0:0");
    const { uid, gid } = statSync(join(folder, "new"));
    assert.deepEqual([uid, gid], [1234, 5678]);
    await cli.ok("run", "-d", "--name", "mapped", ...bind, "busybox", "sleep", "600");
    await daemon.kill("SIGKILL");
    await daemon.start();
    await cli.ok("restart", "-t", "0", "mapped");
    assert.equal(await cli.ok("exec", "mapped", "stat", "-c", "%u", "/m/new"), "0");
    for (const state of ["running", "stopped"]) {
      if (state === "stopped") await cli.ok("stop", "-t", "0", "mapped");
      await cli.ok("cp", daemon.archive, `mapped:/m/${state}`);
      const copied = statSync(join(folder, state));
      assert.deepEqual([copied.uid, copied.gid], [1234, 5678], state);
      await cli.ok("cp", "-a", "mapped:/m/new", join(daemon.folder, state));
      assert.equal(statSync(join(daemon.folder, state)).uid, 0, state);
    }
    // What a copy mounted goes with it, a moment after its answer.
    await eventually(
      () => !new RegExp(`${daemon.folder}/\\S*files`).test(readFileSync("/proc/self/mountinfo", "utf8")),
    );
    await cli.ok("rm", "-f", "mapped");
  });

  test("what cannot be id-mapped says why, and nothing is left", async () => {
    const folder = join(daemon.folder, "unmapped");
    mkdirSync(folder);
    mount({ source: "proc", target: folder, type: "proc" });
    try {
      const refused = await cli.run("run", "--rm", ...idMapped(folder, "uids=0-1-1"), "busybox", "true");
      assert.equal(refused.code, 125);
      assert.match(refused.err, /unmapped cannot be id-mapped: the file system takes no id mapping/);
    } finally {
      unmount(folder);
    }
    const odd = await cli.run("run", "--rm", ...idMapped(folder, "uids=everyone"), "busybox", "true");
    assert.deepEqual(
      [odd.code, /invalid idmap: "uids=everyone"[\s\S]*write idmap=/.test(odd.err)],
      [125, true],
      odd.err,
    );
    const spread = await cli.run("run", "--rm", "-v", `${folder}:/m:idmap=uids=0-1-1,rshared`, "busybox", "true");
    assert.match(spread.err, /idmap cannot be combined with the propagation rshared/);
    assert.equal(await cli.ok("ps", "-aq"), "");
  });
});
