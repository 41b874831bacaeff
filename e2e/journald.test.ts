/** Lines in a real journal: journald of its own, in a mount namespace of its own. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const JOURNALD = "/lib/systemd/systemd-journald";
const INSIDE = join(import.meta.dirname, "lib", "journald-inside.ts");

/** With an empty /run, in which journald finds nothing and leaves nothing. */
const SCRIPT = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
${JOURNALD} & journald=$!
trap 'kill $journald' EXIT
while [ ! -S /run/systemd/journal/socket ]; do sleep 0.05; done
"$0" "$1"`;

test("lines are in the journal, with what tells whose they are", {
  skip: !existsSync(JOURNALD) && "no journald here",
}, () => {
  const { stdout, stderr, status } = spawnSync("unshare", ["--mount", "bash", "-c", SCRIPT, process.execPath, INSIDE], {
    encoding: "utf8",
    timeout: 120_000,
  });
  assert.equal(status, 0, stderr);
  const { entries, readBack, id } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}") as {
    entries: Record<string, string>[];
    readBack: string;
    id: string;
  };
  const wanted = [
    "MESSAGE",
    "PRIORITY",
    "CONTAINER_NAME",
    "CONTAINER_ID_FULL",
    "CONTAINER_TAG",
    "SYSLOG_IDENTIFIER",
    "IMAGE_NAME",
    "TIER",
  ];
  const common = ["journaled", id, "busybox/journaled", "busybox/journaled", "busybox", "front"];
  assert.deepEqual(entries.map((entry) => wanted.map((name) => entry[name])).sort(), [
    ["err", "3", ...common],
    ["out", "6", ...common],
  ]);
  assert.match(entries[0]?.SYSLOG_TIMESTAMP ?? "", /^\d{4}-\d\d-\d\dT.*Z$/);
  assert.deepEqual(readBack.split("\n").sort(), ["", "err", "out"]);
});

test("a machine without it says so", {
  skip: existsSync("/run/systemd/journal/socket") && "this one has it",
}, async () => {
  const { startDaemon } = await import("../src/testing/daemon.ts");
  await using daemon = await startDaemon();
  await assert.rejects(
    daemon.call("POST", "/containers/create", { Image: "busybox", HostConfig: { LogConfig: { Type: "journald" } } }),
    /503 .*journald is not enabled on this host/,
  );
});
