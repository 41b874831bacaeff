/** A process that unpacks, prepares and removes is killed at random points; the next one finds only whole things, and nothing else. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chainIdOf } from "../base/chain-id.ts";
import { mountTable } from "../kernel/mounts.ts";
import { layerOf, makeTestRoot, tarOf } from "./snapshots.fixture.ts";

const KILLS = 12;

const WORKER = `
  const [opened, store, paths] = await Promise.all(["./open.ts", "../store/open.ts", "../store/paths.ts"].map((path) => import(new URL(path, process.argv[1]))));
  const { inputs, data, run } = JSON.parse(process.argv[2]);
  const snapshots = await opened.openSnapshots({ store: store.openStore(paths.makePaths(data, run)) });
  process.stdout.write("ready");
  for (let i = 0; ; i++) {
    const layers = await snapshots.unpack(inputs);
    const top = layers.at(-1).chainId;
    const key = process.pid + "-" + i;
    await snapshots.prepare(key, top);
    await snapshots.changes(key);
    await snapshots.remove(key);
    for (const { chainId } of layers.reverse()) await snapshots.removeLayer(chainId);
  }
`;

test("a kill at any point leaves only what is whole", async () => {
  await using root = await makeTestRoot("overlay");
  const lower = layerOf(
    root.path,
    tarOf(Array.from({ length: 300 }, (_, i) => ({ path: `d/f${i}`, data: `content ${i}` }))),
    undefined,
    true,
  );
  const upper = layerOf(
    root.path,
    tarOf([{ path: "d/.wh.f0" }, { path: "big", data: Buffer.alloc(600_000, 7) }]),
    lower.diffId,
  );
  const argument = JSON.stringify({ inputs: [lower, upper], data: root.paths.dataRoot, run: root.paths.execRoot });
  await root.snapshots.close();
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", WORKER, import.meta.url, argument], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    await sleep(Math.random() * 60);
    child.kill("SIGKILL");
    await once(child, "exit");
    await root.reopen();
    const named = root.snapshots.layers().map(({ chainId }) => chainId);
    const expected = [lower.diffId, chainIdOf(lower.diffId, upper.diffId)];
    assert.deepEqual(
      named.filter((chainId) => !expected.includes(chainId)),
      [],
    );
    for (const chainId of named) {
      await root.snapshots.withLayer(chainId, async (tree) => {
        const names = readdirSync(join(tree, "d"));
        assert.equal(names.length, chainId === lower.diffId ? 300 : 299);
        for (const name of names) assert.equal(readFileSync(join(tree, "d", name), "utf8"), `content ${name.slice(1)}`);
      });
    }
    for (const key of root.snapshots.keys()) await root.snapshots.remove(key);
    for (const chainId of [...named].sort((a) => (a === lower.diffId ? 1 : -1)))
      await root.snapshots.removeLayer(chainId);
    await root.snapshots.close();
    assert.deepEqual(
      mountTable().filter(({ target }) => target.startsWith(root.path)),
      [],
    );
    const left = readdirSync(root.paths.snapshots);
    assert.deepEqual(left, []);
  }
});
