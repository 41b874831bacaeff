import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { dockerFiles, makeImage } from "../testing/image-archives.ts";
import { openTestImages } from "../testing/images-harness.ts";

const DAY = 86_400_000;

/** Images of some megabytes of noise, by name, and how many days ago each was last used. */
async function aged(t: TestContext, ages: Readonly<Record<string, number>>) {
  const harness = openTestImages(t);
  for (const [name, days] of Object.entries(ages)) {
    const noise = Array.from({ length: 200 }, () => Math.random().toString(36)).join("");
    const image = await makeImage({ layers: [noise.repeat(100)] });
    await harness.load(dockerFiles([[image, `${name}:1`]]));
    const then = new Date(Date.now() - days * DAY).toISOString();
    harness.store.run(
      "UPDATE images SET added_at = ?, tagged_at = ?, used_at = ? WHERE id = ?",
      then,
      then,
      then,
      image.id,
    );
  }
  const images = harness.reopen();
  const names = async () =>
    (await images.list({ all: true, filters: {}, sharedSize: false, digests: false, manifests: false }))
      .flatMap(({ RepoTags }) => RepoTags)
      .sort();
  return { ...harness, images, names };
}

test("what was not used for so long goes, names and all", async (t) => {
  const { images, names } = await aged(t, { old: 30, week: 8, fresh: 0.1 });
  images.get("old:1");
  await images.prune({ "unused-for": ["7d"] });
  assert.deepEqual(await names(), ["fresh:1", "old:1"]);
  await images.prune({ "unused-for": ["1h"] });
  assert.deepEqual(await names(), ["old:1"]);
  assert.equal((await images.prune({ "unused-for": ["1w2d3h"] })).ImagesDeleted, null);
});

test("the longest unused go first, and only until the rest fits", async (t) => {
  const { images, names } = await aged(t, { c: 3, a: 1, d: 4, b: 2 });
  const size = await images.layersSize();
  await images.prune({ keep: [String(Math.ceil(size * 0.6))] });
  assert.deepEqual(await names(), ["a:1", "b:1"]);
  assert.ok((await images.layersSize()) <= size * 0.6);
  assert.equal((await images.prune({ keep: ["20GB"] })).ImagesDeleted, null);
  await images.prune({ keep: ["0"] });
  assert.equal(await images.layersSize(), 0);
});

test("both: only what is unused for long goes, and only as much as has to", async (t) => {
  const { images, names } = await aged(t, { a: 1, b: 20, c: 30 });
  const size = await images.layersSize();
  await images.prune({ keep: [String(Math.ceil(size * 0.7))], "unused-for": ["10d"] });
  assert.deepEqual(await names(), ["a:1", "b:1"]);
  await images.prune({ keep: ["0"], "unused-for": ["10d"] });
  assert.deepEqual(await names(), ["a:1"]);
});

test("a container's image stays, whatever its age and the wish", async (t) => {
  const { images, names, uses } = await aged(t, { a: 100, b: 200 });
  uses.push({ containerId: "c".repeat(64), imageId: images.get("b:1").id, running: false });
  await images.prune({ keep: ["0"], "unused-for": ["0"] });
  assert.deepEqual(await names(), ["b:1"]);
});

test("a use is recorded by who runs it, not by who looks", async (t) => {
  const { images, names } = await aged(t, { a: 100, b: 200 });
  images.peek("a:1");
  await images.inspect("a:1");
  images.used(images.peek("b:1").id);
  await images.prune({ "unused-for": ["1d"] });
  assert.deepEqual(await names(), ["b:1"]);
});

test("filters that say nothing clear are refused", async (t) => {
  const { images } = openTestImages(t);
  for (const filters of [
    { keep: ["much"] },
    { keep: ["-1"] },
    { keep: ["1GB", "2GB"] },
    { "unused-for": ["long"] },
    { "unused-for": ["-1h"] },
    { "unused-for": ["d"] },
  ])
    await assert.rejects(images.prune(filters as Record<string, string[]>), {
      kind: "invalid",
      message: /^invalid filter '/,
    });
});

test("downloads that broke off are counted, and go; those under way stay", async (t) => {
  const { images, content } = openTestImages(t);
  const [broken, running] = [
    await content.ingest("broken", { resume: true }),
    await content.ingest("running", { resume: true }),
  ];
  await broken.write(Buffer.alloc(100_000, 1));
  await running.write(Buffer.alloc(50_000, 1));
  await broken.close();
  const size = await images.layersSize();
  assert.ok(size >= 150_000);
  const { SpaceReclaimed } = await images.prune({});
  assert.equal(SpaceReclaimed, size - (await images.layersSize()));
  assert.ok(SpaceReclaimed >= 100_000 && SpaceReclaimed < 150_000);
  await running.commit();
  await images.prune({});
  assert.equal(await images.layersSize(), 0);
});
