/** kill -9 of gantryd at random points while a container writes: no line is lost or comes twice, neither followed nor read back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startDaemon } from "../src/testing/daemon.ts";
import { countThroughKills } from "./lib/counting.ts";

for (const Type of ["json-file", "local"])
  test(`of 50,000 lines in ${Type}, through rotation, compression and five kills, each comes once`, {
    skip: process.getuid?.() === 0 ? false : "needs root",
    timeout: 120_000,
  }, async (t) => {
    const daemon = await startDaemon();
    t.after(() => daemon[Symbol.asyncDispose]());
    const log = { Type, Config: { "max-size": "300k", "max-file": "100", compress: "true" } };
    const counted = await countThroughKills(daemon, { lines: 50_000, atOnce: 500, kills: 5, within: 400, log });
    t.diagnostic(`${counted.connections} connections of the follower`);
    assert.deepEqual([counted.followed, counted.read], [undefined, undefined]);
  });
