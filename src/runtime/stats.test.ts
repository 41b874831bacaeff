import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { isMountPoint } from "../kernel/mounts.ts";
import { mountShm, unmountShm } from "./shm.ts";
import { machineCpu, readStats } from "./stats.ts";

it("the machine's processor time leaves out what is counted twice", () => {
  assert.equal(machineCpu("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1 1\n"), 28e7);
});

it("a sample has the machine's figures, and its memory where there is no limit", () => {
  const stats = () => ({ pids_stats: {}, blkio_stats: {}, cpu_stats: {}, memory_stats: { usage: 5, limit: 2 ** 63 } });
  const sample = readStats({ stats }, "/x", { cpus: 2, memory: 1000 });
  assert.equal(sample.memory_stats?.limit, 1000);
  assert.equal(sample.cpu_stats?.online_cpus, 2);
  assert.ok((sample.cpu_stats?.system_cpu_usage ?? 0) > 0);
});

it("a shared /dev/shm is mounted once with its size and taken away", {
  skip: process.getuid?.() !== 0 && "needs root",
}, (t) => {
  const root = mkdtempSync(join(tmpdir(), "shm-"));
  const path = join(root, "shm");
  t.after(() => rmSync(root, { recursive: true, force: true }));
  t.after(() => unmountShm(path));
  mountShm(path, 1 << 20);
  mountShm(path, 1 << 20);
  const { bsize, blocks } = statfsSync(path);
  assert.equal(bsize * blocks, 1 << 20);
  unmountShm(path);
  assert.equal(isMountPoint(path), false);
  unmountShm(path);
});
