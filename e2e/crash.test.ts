/**
 * kill -9 of gantryd at random points, again and again, while containers run, write, exit and are being made: after the next
 * start no container, log line or exit code is lost, and in the end nothing is left.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountTable } from "../src/kernel/mounts.ts";
import { processesOf, startDaemon, type TestDaemon } from "../src/testing/daemon.ts";

/** As many at least, and as many containers; a busy machine makes less than one in a round. */
const ROUNDS = 15;

interface Summary {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
}

test("a daemon killed at any moment loses nothing and leaks nothing", { timeout: 240_000 }, async (t) => {
  const daemon = await startDaemon();
  t.after(() => daemon[Symbol.asyncDispose]());
  const count = "i=0; while :; do i=$((i+1)); echo $i; [ $((i % 50)) = 0 ] && usleep 20000; done";
  const writer = await create(daemon, "writer", ["sh", "-c", count]);
  await daemon.call("POST", `/containers/${writer}/start`);
  const exits = new Map<string, number>();

  for (let round = 0; round < ROUNDS || (exits.size < ROUNDS && round < 4 * ROUNDS); round++) {
    const busy = makeContainers(daemon, round, exits);
    await sleep(Math.random() * 400);
    await daemon.kill();
    await busy;
    await daemon.start();
    assert.equal((await inspect(daemon, writer)).State.Running, true, `the writer runs after round ${round}`);
  }

  await checkExits(daemon, exits);
  await daemon.call("POST", `/containers/${writer}/kill`);
  await daemon.call("POST", `/containers/${writer}/wait`);
  checkLines(await logLines(daemon, writer));
  await checkNothingStays(daemon);
});

/** Creates and starts short containers until the daemon is gone; what was answered must be true after it. */
async function makeContainers(daemon: TestDaemon, round: number, exits: Map<string, number>): Promise<void> {
  try {
    for (let i = 0; i < 50; i++) {
      const code = (round * 7 + i) % 100;
      const id = await create(daemon, `r${round}-${i}`, ["sh", "-c", `echo before; exit ${code}`]);
      exits.set(id, -1);
      await daemon.call("POST", `/containers/${id}/start`);
      exits.set(id, code);
    }
  } catch {
    // The daemon was killed.
  }
}

/** A container whose start was answered has run, said its word and ended with its code; one whose start was not may have. */
async function checkExits(daemon: TestDaemon, exits: ReadonlyMap<string, number>): Promise<void> {
  assert.ok(exits.size >= ROUNDS, `only ${exits.size} containers were made`);
  for (const [id, code] of exits) {
    const { State } = await inspect(daemon, id);
    if (code < 0) continue;
    await daemon.call("POST", `/containers/${id}/wait`);
    const { State: ended } = await inspect(daemon, id);
    assert.deepEqual([ended.Status, ended.ExitCode], ["exited", code], `container ${id} (was ${State.Status})`);
    assert.deepEqual(await logLines(daemon, id), ["before"]);
  }
}

function checkLines(lines: readonly string[]): void {
  assert.ok(lines.length > 1000, `only ${lines.length} lines`);
  const wrong = lines.findIndex((line, i) => line !== String(i + 1));
  assert.equal(wrong, -1, `line ${wrong + 1} is ${JSON.stringify(lines[wrong])}`);
}

async function checkNothingStays(daemon: TestDaemon): Promise<void> {
  const all = await daemon.call<Summary[]>("GET", "/containers/json?all=1");
  for (const { Id } of all) await daemon.call("DELETE", `/containers/${Id}?force=1&v=1`);
  assert.deepEqual(await daemon.call("GET", "/containers/json?all=1"), []);
  const remains = () => ({
    bundles: names(join(daemon.execRoot, "containers")),
    execs: names(join(daemon.execRoot, "execs")),
    logs: names(join(daemon.dataRoot, "containers")),
    mounts: mountTable()
      .filter(({ target }) => target.startsWith(`${daemon.execRoot}/containers`))
      .map(({ target }) => target),
    monitors: processesOf(daemon.folder),
  });
  const nothing = { bundles: [], execs: [], logs: [], mounts: [], monitors: [] };
  // What is let go of in the background is given a moment.
  for (let i = 0; i < 50 && JSON.stringify(remains()) !== JSON.stringify(nothing); i++) await sleep(100);
  assert.deepEqual(remains(), nothing);
}

function names(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

async function create(daemon: TestDaemon, name: string, command: readonly string[]): Promise<string> {
  const request = { Image: "busybox", Cmd: command };
  return (await daemon.call<{ Id: string }>("POST", `/containers/create?name=${name}`, request)).Id;
}

function inspect(daemon: TestDaemon, id: string) {
  return daemon.call<{ State: { Status: string; Running: boolean; ExitCode: number } }>(
    "GET",
    `/containers/${id}/json`,
  );
}

/** Standard output from the multiplexed stream. */
async function logLines(daemon: TestDaemon, id: string): Promise<string[]> {
  const response = await daemon.open("GET", `/containers/${id}/logs?stdout=1`);
  const bytes = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>));
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32BE(at + 4))
    parts.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at + 4)));
  return Buffer.concat(parts).toString().split("\n").filter(Boolean);
}
