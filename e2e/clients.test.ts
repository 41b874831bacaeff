/** Two clients that are not ours, driving the main operations as programs do: dockerode, and Docker's SDK for Python. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startDaemon } from "../src/testing/daemon.ts";
import { collect } from "./lib/cli.ts";

const ROOT = join(import.meta.dirname, "..");
const DOCKERODE = join(ROOT, "node_modules", ".cache", "dockerode");
const VERSION = "5.0.1";

/** Not one of the project's packages: it is fetched when it is first needed. Why it can't be had, or false. */
function noDockerode(): string | false {
  if (existsSync(join(DOCKERODE, "node_modules", "dockerode"))) return false;
  const words = [
    "install",
    "--no-save",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--silent",
    "--prefix",
    DOCKERODE,
  ];
  const { status } = spawnSync("npm", [...words, `dockerode@${VERSION}`], { timeout: 120_000 });
  return status === 0 || process.env.CI === "true" ? false : "dockerode could not be fetched";
}

const PYTHON = "/usr/bin/python3";

function noPythonClient(): string | false {
  if (process.env.CI === "true") return false;
  return spawnSync(PYTHON, ["-c", "import docker"]).status === 0 ? false : "no python3-docker on this machine";
}

async function run(file: string, words: readonly string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await collect(spawn(file, words, { stdio: ["ignore", "pipe", "pipe"] }));
  assert.equal(code, 0, err);
  return JSON.parse(out) as Record<string, unknown>;
}

test("dockerode", { skip: noDockerode() }, async () => {
  await using daemon = await startDaemon();
  const script = join(import.meta.dirname, "clients", "dockerode.mjs");
  const { driver, ...seen } = await run(process.execPath, [script, DOCKERODE, daemon.host.replace("unix://", "")]);
  assert.match(String(driver), /^(overlay2|vfs)$/);
  assert.deepEqual(seen, {
    version: "1.51",
    run: [3, "hello"],
    attached: "err\n",
    inspect: [true, "dockerode", "127.0.0.1"],
    listed: ["/lived"],
    logs: true,
    exec: ["through\n", "done\n", 5],
    top: true,
    stats: true,
    paused: "paused",
    renamed: { Name: "on-failure", MaximumRetryCount: 2 },
    files: { carried: "in a tar" },
    changes: true,
    exported: true,
    waited: 137,
    committed: [true, "by dockerode"],
    tags: [["again:2"]],
    loaded: true,
    connected: true,
    volumes: ["made"],
    pruned: true,
    told: [],
  });
  assert.deepEqual(await daemon.call("GET", "/containers/json?all=1"), []);
});

test("Docker's SDK for Python", { skip: noPythonClient() }, async () => {
  await using daemon = await startDaemon();
  const { driver, version, ...seen } = await run(PYTHON, [
    join(import.meta.dirname, "clients", "docker-sdk.py"),
    daemon.host,
  ]);
  assert.match(String(driver), /^(overlay2|vfs)$/);
  assert.match(String(version), /^1\.\d+$/);
  assert.deepEqual(seen, {
    run: "hello\n",
    failed: [3, "wrong\n"],
    inspect: ["running", "python", "127.0.0.1", 64 << 20],
    listed: ["lived"],
    logs: ["err", "got", "one", "out"],
    tail: ["got", "one"],
    exec: [5, "/tmp\n7\n", "wrong\n"],
    streamed: "streamed\n",
    top: true,
    stats: 64 << 20,
    paused: "paused",
    renamed: ["renamed", { Name: "on-failure", MaximumRetryCount: 2 }, 32 << 20],
    files: ["carried", 8, "in a tar"],
    diff: true,
    exported: true,
    waited: 137,
    refused: [true, true],
    tags: ["again:2", "snapped:1"],
    loaded: true,
    history: "by python",
    connected: [true],
    volumes: ["made"],
    pruned: ["ContainersDeleted", "SpaceReclaimed"],
    told: [],
  });
  assert.deepEqual(await daemon.call("GET", "/containers/json?all=1"), []);
});
