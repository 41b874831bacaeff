import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { shortId } from "../base/ids.ts";
import { dockerFiles, makeImage, makeTar, ociFiles, ociManifest, streamOf } from "../testing/image-archives.ts";
import { openTestImages } from "../testing/images-harness.ts";

const GENTLE = { force: false, prune: true };
const FORCED = { force: true, prune: true };
const container = (n: number) => `${n}`.repeat(64);

test("the last tag takes the image and its layers along, topmost first", async (t) => {
  const { images, load, blobs, snapshots, published } = openTestImages(t);
  const image = await makeImage({ layers: ["a", "b"] });
  await load(dockerFiles([[image, "x:1", "y:1"]]));
  const { chainId } = images.get("x:1");
  published.length = 0;
  assert.deepEqual(await images.remove("x:1", GENTLE), [{ Untagged: "x:1" }]);
  assert.deepEqual(await images.remove("y:1", GENTLE), [
    { Untagged: "y:1" },
    { Deleted: image.id },
    { Deleted: chainId },
    { Deleted: image.diffIds[0] },
  ]);
  assert.deepEqual([blobs(), snapshots.layers()], [[], []]);
  assert.deepEqual(
    published.map(({ action, attributes }) => [action, attributes?.name]),
    [
      ["untag", image.id],
      ["untag", image.id],
      ["delete", image.id],
    ],
  );
});

test("layers that another image has stay", async (t) => {
  const { images, load, snapshots } = openTestImages(t);
  const [one, two] = [await makeImage({ layers: ["s", "1"] }), await makeImage({ layers: ["s", "2"] })];
  await load(
    dockerFiles([
      [one, "one:1"],
      [two, "two:1"],
    ]),
  );
  const { chainId } = images.get("one:1");
  assert.deepEqual(await images.remove("one:1", GENTLE), [
    { Untagged: "one:1" },
    { Deleted: one.id },
    { Deleted: chainId },
  ]);
  assert.equal(snapshots.layers().length, 2);
  assert.equal(images.get("two:1").id, two.id);
});

test("by id or its prefix the image goes with its only tag", async (t) => {
  const { images, load } = openTestImages(t);
  const image = await makeImage();
  for (const name of [image.id, image.id.slice(7), image.id.slice(7, 15), image.id.slice(0, 15)]) {
    await load(dockerFiles([[image, "x:1"]]));
    const items = await images.remove(name, GENTLE);
    assert.deepEqual(items.slice(0, 2), [{ Untagged: "x:1" }, { Deleted: image.id }]);
  }
});

test("by id an image of several tags is refused, unless forced", async (t) => {
  const { images, load } = openTestImages(t);
  const image = await makeImage();
  await load(dockerFiles([[image, "x:1", "x:2"]]));
  await assert.rejects(images.remove(image.id, GENTLE), {
    kind: "conflict",
    message: `conflict: unable to delete ${shortId(image.id)} (must be forced) - image is referenced in multiple repositories`,
  });
  assert.deepEqual((await images.remove(image.id, FORCED)).slice(0, 3), [
    { Untagged: "x:1" },
    { Untagged: "x:2" },
    { Deleted: image.id },
  ]);
});

test("a digest goes with the last tag of its repository, or takes the image along when it was the last name", async (t) => {
  const { images, load } = openTestImages(t);
  const image = await makeImage();
  const digest = digestOf(ociManifest(image));
  const files = ociFiles([{ image, annotations: { "io.containerd.image.name": "docker.io/library/d:1" } }]);
  await load(files);
  assert.deepEqual((await images.remove("d:1", GENTLE)).slice(0, 3), [
    { Untagged: "d:1" },
    { Untagged: `d@${digest}` },
    { Deleted: image.id },
  ]);
  await load(files);
  assert.deepEqual(await images.remove(`d@${digest}`, GENTLE), [{ Untagged: `d@${digest}` }]);
  assert.equal(images.get("d:1").id, image.id);
  await load(files);
  assert.deepEqual((await images.remove(image.id, GENTLE)).slice(0, 3), [
    { Untagged: "d:1" },
    { Untagged: `d@${digest}` },
    { Deleted: image.id },
  ]);
});

test("the last name of an image that a container uses is refused, unless forced", async (t) => {
  const { images, load, uses, snapshots } = openTestImages(t);
  const image = await makeImage();
  await load(dockerFiles([[image, "x:1", "y:1"]]));
  await snapshots.prepare("c", images.get("x:1").chainId);
  uses.push({ containerId: container(1), imageId: image.id, running: false });
  assert.deepEqual(await images.remove("y:1", GENTLE), [{ Untagged: "y:1" }]);
  await assert.rejects(images.remove("x:1", GENTLE), {
    kind: "conflict",
    message: `conflict: unable to remove repository reference "x:1" (must force) - container 111111111111 is using its referenced image ${shortId(image.id)}`,
  });
  await assert.rejects(images.remove(image.id, GENTLE), {
    kind: "conflict",
    message: `conflict: unable to delete ${shortId(image.id)} (must be forced) - image is being used by stopped container 111111111111`,
  });
  assert.deepEqual(await images.remove("x:1", FORCED), [{ Untagged: "x:1" }, { Deleted: image.id }]);
  assert.equal(snapshots.layers().length, 1, "the container's tree still lies on the layer");
  await snapshots.remove("c");
  assert.ok((await images.collect()) > 0);
  assert.equal(await images.layersSize(), 0);
});

test("an image of a running container can be untagged by force, and not deleted", async (t) => {
  const { images, load, uses } = openTestImages(t);
  const image = await makeImage();
  await load(dockerFiles([[image, "x:1"]]));
  uses.push({ containerId: container(2), imageId: image.id, running: true });
  await assert.rejects(images.remove("x:1", GENTLE), { kind: "conflict", message: /\(must force\)/ });
  assert.deepEqual(await images.remove("x:1", FORCED), [{ Untagged: "x:1" }]);
  await assert.rejects(images.remove(image.id, FORCED), {
    kind: "conflict",
    message: `conflict: unable to delete ${shortId(image.id)} (cannot be forced) - image is being used by running container 222222222222`,
  });
});

test("what is not there is said in Docker's words", async (t) => {
  const { images } = openTestImages(t);
  const say = (name: string, message: string) =>
    assert.rejects(images.remove(name, GENTLE), { kind: "not-found", message });
  await say("nope", "No such image: nope:latest");
  await say("example.com/a:b", "No such image: example.com/a:b");
  await say("abcdef", "No such image: abcdef:latest");
  await say(`sha256:${"a".repeat(64)}`, `No such image: sha256:${"a".repeat(64)}`);
  await assert.rejects(images.remove("No Good", GENTLE), { kind: "invalid" });
});

test("a prefix of several ids is refused", async (t) => {
  const { images, load } = openTestImages(t);
  const byFirst = new Map<string, string>();
  for (let at = 0; ; at++) {
    const image = await makeImage({ layers: [`${at}`] });
    await load(dockerFiles([[image]]));
    const first = image.id.slice(7, 8);
    if (byFirst.has(first)) {
      assert.throws(() => images.get(first), {
        kind: "invalid",
        message: `multiple IDs found with provided prefix: ${first}`,
      });
      return;
    }
    byFirst.set(first, image.id);
  }
});

test("an image with committed children is refused, and goes with them when it has no name", async (t) => {
  const { images, load } = openTestImages(t);
  const image = await makeImage();
  await load(dockerFiles([[image, "base:1"]]));
  const child = await images.commit({
    parent: images.get("base:1"),
    diff: streamOf(await makeTar([["new", "file"]])),
    config: { Cmd: ["x"] },
    createdBy: "x",
    containerId: container(3),
    repo: "child",
  });
  await assert.rejects(images.remove(image.id, FORCED), {
    kind: "conflict",
    message: /cannot be forced\) - image has dependent child images/,
  });
  assert.deepEqual(await images.remove("base:1", GENTLE), [{ Untagged: "base:1" }]);
  const items = await images.remove("child", GENTLE);
  assert.deepEqual(items.map(({ Deleted, Untagged }) => Untagged ?? Deleted).slice(0, 2), ["child:latest", child]);
  assert.ok(items.some(({ Deleted }) => Deleted === image.id));
  assert.equal(await images.layersSize(), 0);
});

test("prune takes dangling images; with dangling=false all that nobody uses", async (t) => {
  const { images, load, uses, published } = openTestImages(t);
  const [dangling, tagged, used] = [
    await makeImage({ layers: ["d"] }),
    await makeImage({ layers: ["t"], config: { Labels: { keep: "yes" } } }),
    await makeImage({ layers: ["u"] }),
  ];
  await load(dockerFiles([[dangling], [tagged, "tagged:1"], [used, "used:1"]]));
  uses.push({ containerId: container(4), imageId: used.id, running: false });
  const size = await images.layersSize();
  const first = await images.prune({});
  assert.deepEqual(first.ImagesDeleted?.[0], { Deleted: dangling.id });
  assert.equal(first.SpaceReclaimed, size - (await images.layersSize()));
  assert.ok(first.SpaceReclaimed > 0);
  assert.deepEqual(published.at(-1), {
    type: "image",
    action: "prune",
    id: "",
    attributes: { reclaimed: String(first.SpaceReclaimed) },
  });
  assert.equal((await images.prune({ dangling: ["false"], "label!": ["keep"] })).ImagesDeleted, null);
  assert.equal((await images.prune({ dangling: ["false"], until: ["2024-01-01"] })).ImagesDeleted, null);
  const all = await images.prune({ dangling: ["false"], until: ["1h"], label: ["keep=yes"] });
  assert.deepEqual(all.ImagesDeleted?.slice(0, 2), [{ Untagged: "tagged:1" }, { Deleted: tagged.id }]);
  assert.equal((await images.prune({ dangling: ["0"] })).ImagesDeleted, null);
  assert.equal(images.get("used:1").id, used.id);
  await assert.rejects(images.prune({ nope: ["1"] }), { kind: "invalid", message: "invalid filter 'nope'" });
  await assert.rejects(images.prune({ until: ["soon"] }), { kind: "invalid" });
});
