/** What a power cut may do to new layers, told by the boot that wrote them; and how much of the disk a layer takes. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { chainIdOf } from "../base/chain-id.ts";
import { silentLogger } from "../base/log.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { Catalog } from "./catalog.ts";
import { openSnapshots } from "./open.ts";
import { Settler } from "./settle.ts";
import { layerOf, tarOf } from "./snapshots.fixture.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";

/** A data root that can be opened in one boot after the other. */
function machine(t: TestContext) {
  const path = mkdtempSync(join(tmpdir(), "gantry-settle-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  const paths = makePaths(join(path, "data"), join(path, "run"));
  const open = async (boot: string) => {
    const store = openStore(paths);
    const snapshots = await openSnapshots({ store, boot });
    const close = async () => {
      await snapshots.close();
      store.close();
    };
    return { snapshots, store, close };
  };
  const lower = layerOf(path, tarOf([{ path: "a", data: "lower" }]), undefined);
  const upper = layerOf(path, tarOf([{ path: "b", data: "upper" }]), lower.diffId);
  return { paths, open, inputs: [lower, upper], chain: [lower.diffId, chainIdOf(lower.diffId, upper.diffId)] as const };
}

test("layers that were not synced when the machine went down are not trusted after it", { skip }, async (t) => {
  const { open, inputs, paths } = machine(t);
  const first = await open("boot 1");
  await first.snapshots.unpack(inputs);
  await first.close();
  const again = await open("boot 1");
  assert.equal(again.snapshots.layers().length, 2);
  await again.close();
  const after = await open("boot 2");
  assert.deepEqual(after.snapshots.layers(), []);
  await after.snapshots.unpack(inputs);
  await after.close();
  assert.equal(readdirSync(paths.snapshots).length, 2);
});

test("synced layers are trusted in every boot", { skip }, async (t) => {
  const { open, inputs, paths } = machine(t);
  const first = await open("boot 1");
  await first.snapshots.unpack(inputs);
  const catalog = new Catalog(first.store, "overlay", "boot 1");
  const synced: string[] = [];
  const settler = new Settler({ catalog, paths, logger: silentLogger, sync: async (path) => void synced.push(path) });
  await settler.syncNow();
  await settler.syncNow();
  assert.deepEqual(synced, [paths.snapshots]);
  await settler.close();
  await first.close();
  const after = await open("boot 2");
  assert.equal(after.snapshots.layers().length, 2);
  await after.close();
});

test("a damaged layer that a container lies on is made again in its place", { skip }, async (t) => {
  const { open, inputs, chain, paths } = machine(t);
  const first = await open("boot 1");
  await first.snapshots.unpack(inputs);
  await first.snapshots.prepare("container", chain[1]);
  await first.close();
  const [folder] = readdirSync(paths.snapshots).filter((name) => existsSync(join(paths.snapshot(name), "fs/b")));
  truncateSync(join(paths.snapshot(folder ?? ""), "fs/b"));
  const { snapshots, close } = await open("boot 2");
  t.after(close);
  assert.deepEqual(snapshots.damaged().sort(), [...chain].sort());
  assert.equal(snapshots.layer(chain[1]), undefined);
  const target = join(paths.execRoot, "mounted");
  await assert.rejects(snapshots.mount("container", target), { kind: "unavailable", message: /may be damaged/ });
  await snapshots.unpack(inputs);
  assert.deepEqual(snapshots.damaged(), []);
  await snapshots.mount("container", target);
  assert.equal(readFileSync(join(target, "b"), "utf8"), "upper");
  await snapshots.unmount(target);
});

test("a layer's usage is what du says of its folder", { skip }, async (t) => {
  const { open, inputs, paths } = machine(t);
  const { snapshots, close } = await open("boot 1");
  await snapshots.unpack(inputs);
  await snapshots.measured();
  const said = snapshots.layers().reduce((sum, { usage }) => sum + (usage ?? 0), 0);
  const folders = readdirSync(paths.snapshots).map((name) => paths.snapshot(name));
  const du = execFileSync("du", ["-s", "-c", "-B1", ...folders], { encoding: "utf8" });
  assert.equal(said, Number(du.trim().split("\n").at(-1)?.split("\t")[0]));
  await close();
});
