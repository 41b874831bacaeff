/** Images over real layers: overlay, workers, the machine's own busybox. */
import assert from "node:assert/strict";
import { createReadStream, lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { makeBusyboxArchive } from "../../scripts/base-image.ts";
import { silentLogger } from "../base/log.ts";
import { openContent } from "../content/open.ts";
import type { Events } from "../events/events.ts";
import { openSnapshots } from "../snapshots/open.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { dockerFiles, makeImage, makeTar, streamOf } from "../testing/image-archives.ts";
import type { Progress } from "./images.ts";
import { openImages } from "./open.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";

async function openReal(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), "gantry-images-real-"));
  const store = openStore(makePaths(join(root, "data"), join(root, "run")));
  const snapshots = await openSnapshots({ store });
  t.after(async () => {
    await snapshots.close();
    store.close();
    rmSync(root, { recursive: true, force: true });
  });
  const content = openContent(store);
  const events = { publish() {} } as unknown as Events;
  const images = openImages({ store, content, snapshots, events, uses: () => [], logger: silentLogger });
  return { root, images, snapshots, content };
}

test("the machine's busybox becomes an image with a working root, the same each time", { skip }, async (t) => {
  const { root, images, snapshots } = await openReal(t);
  const archive = join(root, "busybox.tar");
  const id = await makeBusyboxArchive(archive);
  const again = join(root, "again.tar");
  await makeBusyboxArchive(again);
  assert.ok(readFileSync(archive).equals(readFileSync(again)));
  const lines: Progress[] = [];
  await images.load(createReadStream(archive), { onProgress: (line) => lines.push(line) });
  assert.equal(lines.at(-1)?.stream, "Loaded image: busybox:latest\n");
  const image = images.get("busybox");
  assert.equal(image.id, id);
  assert.ok(image.chainId !== undefined);
  await snapshots.withLayer(image.chainId, async (tree) => {
    assert.equal(lstatSync(join(tree, "tmp")).mode & 0o7777, 0o1777);
    assert.equal(lstatSync(join(tree, "bin/sh")).ino, lstatSync(join(tree, "bin/busybox")).ino);
    assert.match(readFileSync(join(tree, "etc/passwd"), "utf8"), /^root:x:0:0:/);
  });
});

test("a damaged layer leaves neither blobs nor layers, and the next load is whole", { skip }, async (t) => {
  const { images, snapshots, content } = await openReal(t);
  const image = await makeImage({ layers: ["a", "b", "c"] });
  const evil = { ...image, layers: [image.layers[0], image.layers[1], image.layers[0]] as Buffer[] };
  await assert.rejects(
    images.load(streamOf(await makeTar(dockerFiles([[evil, "evil:1"]]))), { onProgress: () => {} }),
    {
      kind: "invalid",
    },
  );
  assert.deepEqual([[...content.walk()], snapshots.layers()], [[], []]);
  await images.load(streamOf(await makeTar(dockerFiles([[image, "good:1"]]))), { onProgress: () => {} });
  assert.equal(snapshots.layers().length, 3);
});

test("what a container changed is committed, and its layer outlives the image while the container is there", {
  skip,
}, async (t) => {
  const { images, snapshots } = await openReal(t);
  const image = await makeImage({ layers: ["base"] });
  await images.load(streamOf(await makeTar(dockerFiles([[image, "base:1"]]))), { onProgress: () => {} });
  const parent = images.get("base:1");
  await snapshots.prepare("container", parent.chainId);
  t.after(() => snapshots.remove("container"));
  const options = { parent, config: { Cmd: ["x"] }, containerId: "container" };
  const unchanged = await images.commit({ ...options, diff: snapshots.diff("container") });
  assert.equal(images.get(unchanged).chainId, parent.chainId);
  await images.remove(unchanged, { force: false, prune: true });
  await images.remove("base:1", { force: true, prune: true });
  assert.equal(snapshots.layers().length, 1);
  await snapshots.remove("container");
  await images.collect();
  assert.equal(images.layersSize(), 0);
});
