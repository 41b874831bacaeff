import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { readTar } from "../base/tar/reader.ts";
import { MEDIA } from "../oci/media-types.ts";
import { HOST_PLATFORM } from "../oci/platform.ts";
import { parseReference } from "../oci/reference.ts";
import {
  blobFile,
  makeImage,
  makeTar,
  OCI_LAYOUT_FILE,
  ociBlobs,
  ociDescriptor,
  ociIndex,
  ociManifest,
  streamOf,
  type TarFile,
  type TestImage,
} from "../testing/image-archives.ts";
import { type ImagesHarness, openTestImages } from "../testing/images-harness.ts";

const FOREIGN = { os: "linux", architecture: "s390x" };
const ABSENT = { os: "linux", architecture: "mips64le" };
const HOST = { os: HOST_PLATFORM.os, architecture: HOST_PLATFORM.architecture };
const REF = "org.opencontainers.image.ref.name";

interface Multi {
  readonly mine: TestImage;
  readonly theirs: TestImage;
  readonly attestation: Buffer;
  readonly index: Buffer;
  readonly files: (name: string) => TarFile[];
}

/** An image for this machine, a foreign one, an attestation, and one that the archive lacks. */
async function makeMulti(): Promise<Multi> {
  const mine = await makeImage({ layers: ["base", "m"] });
  const theirs = await makeImage({ layers: ["base", "t"], file: FOREIGN });
  const statement = Buffer.from('{"_type":"statement"}');
  const config = Buffer.from(
    '{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}',
  );
  const blob = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const attestation = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.ociManifest,
      config: blob(MEDIA.ociConfig, config),
      layers: [blob("application/vnd.in-toto+json", statement)],
    }),
  );
  const index = ociIndex([
    ociDescriptor({ image: theirs, platform: FOREIGN }),
    ociDescriptor({ image: mine, platform: HOST }),
    { mediaType: MEDIA.ociManifest, digest: digestOf("absent"), size: 6, platform: ABSENT },
    {
      ...blob(MEDIA.ociManifest, attestation),
      platform: { os: "unknown", architecture: "unknown" },
      annotations: {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": digestOf(ociManifest(mine)),
      },
    },
  ]);
  const files = (name: string): TarFile[] => [
    OCI_LAYOUT_FILE,
    [
      "index.json",
      ociIndex([
        { mediaType: MEDIA.ociIndex, digest: digestOf(index), size: index.length, annotations: { [REF]: name } },
      ]),
    ],
    ...[index, attestation, config, statement].map(blobFile),
    ...ociBlobs([mine, theirs]),
  ];
  return { mine, theirs, attestation, index, files };
}

async function loaded(t: TestContext): Promise<Multi & ImagesHarness> {
  const harness = openTestImages(t);
  const multi = await makeMulti();
  await harness.load(multi.files("multi:1"));
  return { ...harness, ...multi };
}

const list = (harness: ImagesHarness) =>
  harness.images.list({ all: true, filters: {}, sharedSize: false, digests: true, manifests: true });

test("an index is kept whole, and shown as the host's image", async (t) => {
  const shop = await loaded(t);
  const { images, mine, theirs, index, attestation } = shop;
  assert.equal(images.get("multi:1").id, mine.id);
  assert.equal(images.get("multi:1", FOREIGN).id, theirs.id);
  assert.throws(() => images.get("multi:1", ABSENT), {
    kind: "not-found",
    message: "image with reference multi:1 was found but does not provide the specified platform (linux/mips64le)",
  });
  const [only, ...others] = await list(shop);
  assert.deepEqual(others, []);
  assert.deepEqual([only?.Id, only?.RepoTags, only?.RepoDigests], [mine.id, ["multi:1"], [`multi@${digestOf(index)}`]]);
  assert.equal(only?.Descriptor?.digest, digestOf(index));
  assert.deepEqual(
    only?.Manifests.map(({ ID, Kind, Available }) => [ID, Kind, Available]),
    [
      [digestOf(ociManifest(theirs)), "image", true],
      [digestOf(ociManifest(mine)), "image", true],
      [digestOf("absent"), "image", false],
      [digestOf(attestation), "attestation", true],
    ],
  );
  assert.equal(only?.Manifests[3]?.AttestationData?.For, digestOf(ociManifest(mine)));
});

test("only the layers of the image that is shown are unpacked at once; another's when it is used", async (t) => {
  const { images, snapshots, theirs } = await loaded(t);
  assert.equal(snapshots.unpacked, 2);
  const foreign = images.get(theirs.id);
  await images.unpack(foreign);
  assert.equal(snapshots.unpacked, 3);
  await images.unpack(foreign);
  assert.equal(snapshots.unpacked, 3);
});

test("a platform's image is inspected under the names of the whole, with its own manifest", async (t) => {
  const { images, mine, theirs, index } = await loaded(t);
  const foreign = await images.inspect("multi:1", FOREIGN);
  assert.deepEqual([foreign.Id, foreign.Architecture, foreign.RepoTags], [theirs.id, "s390x", ["multi:1"]]);
  assert.equal(foreign.Descriptor?.digest, digestOf(ociManifest(theirs)));
  const whole = await images.inspect("multi:1", undefined, { manifests: true });
  assert.deepEqual([whole.Id, whole.Descriptor?.digest], [mine.id, digestOf(index)]);
  assert.equal(whole.Manifests?.length, 4);
  assert.equal(images.history("multi:1", FOREIGN)[0]?.CreatedBy, "ADD t");
});

test("everything is the same after the database is read again", async (t) => {
  const shop = await loaded(t);
  const again = shop.reopen();
  assert.equal(again.get("multi:1", FOREIGN).id, shop.theirs.id);
  assert.deepEqual(again.target("multi:1"), shop.images.target("multi:1"));
  const before = shop.blobs().sort();
  await again.collect();
  assert.deepEqual(shop.blobs().sort(), before);
});

test("a new tag stands for the whole; with a platform for that image alone", async (t) => {
  const shop = await loaded(t);
  const { images, theirs, index } = shop;
  images.tag("multi:1", "whole", "1");
  images.tag("multi:1", "part", "1", FOREIGN);
  assert.equal(images.target("whole:1").descriptor.digest, digestOf(index));
  assert.equal(images.target("part:1").descriptor.digest, digestOf(ociManifest(theirs)));
  assert.equal(images.get("part:1").id, theirs.id);
  assert.equal((await list(shop)).length, 2);
});

test("removing the last name removes all that the index has", async (t) => {
  const { images, blobs, snapshots, mine, theirs, index } = await loaded(t);
  await images.unpack(images.get(theirs.id));
  const items = await images.remove("multi:1", { force: false, prune: true });
  assert.deepEqual(
    items.flatMap(({ Untagged }) => Untagged ?? []),
    ["multi:1", `multi@${digestOf(index)}`],
  );
  const deleted = items.flatMap(({ Deleted }) => Deleted ?? []);
  assert.ok(deleted.includes(mine.id) && deleted.includes(theirs.id));
  assert.deepEqual([blobs(), snapshots.layers()], [[], []]);
});

test("a name that goes takes what only its index has, while another name keeps the image", async (t) => {
  const shop = await loaded(t);
  const { images, mine, theirs, blobs } = shop;
  images.tag("multi:1", "mine", "1", HOST);
  await images.remove("multi:1", { force: false, prune: true });
  assert.equal(images.get("mine:1").id, mine.id);
  assert.throws(() => images.get(theirs.id), { kind: "not-found" });
  assert.equal(blobs().length, 4);
});

test("an image of one platform is refused to go by its id, and goes by its platform", async (t) => {
  const shop = await loaded(t);
  const { images, mine, theirs, index, blobs } = shop;
  await assert.rejects(images.remove(theirs.id, { force: true, prune: true }), {
    kind: "conflict",
    message: /cannot be forced\) - image is a platform of image/,
  });
  const before = blobs().length;
  const items = await images.remove("multi:1", { force: false, prune: true, platforms: [FOREIGN] });
  assert.deepEqual(items, [{ Deleted: digestOf(ociManifest(theirs)) }]);
  assert.equal(blobs().length, before - 3);
  assert.throws(() => images.get("multi:1", FOREIGN), { kind: "not-found" });
  assert.equal(images.target("multi:1").descriptor.digest, digestOf(index));
  await assert.rejects(images.remove("multi:1", { force: false, prune: true, platforms: [FOREIGN] }), {
    kind: "not-found",
  });
  await images.remove("multi:1", { force: false, prune: true, platforms: [HOST] });
  assert.throws(() => images.get(mine.id), { kind: "not-found" });
  assert.deepEqual(blobs(), []);
});

test("when the host's image goes, the next one is shown under the same names", async (t) => {
  const { images, theirs } = await loaded(t);
  await images.remove("multi:1", { force: false, prune: true, platforms: [HOST] });
  assert.equal(images.get("multi:1").id, theirs.id);
  assert.deepEqual((await images.inspect(theirs.id)).RepoTags, ["multi:1"]);
  assert.ok(images.target("multi:1").parts.every(({ kind, available }) => kind !== "attestation" || !available));
});

test("a container of another platform holds the whole image", async (t) => {
  const { images, uses, theirs, mine } = await loaded(t);
  uses.push({ containerId: "c".repeat(64), imageId: theirs.id, running: true });
  await assert.rejects(images.remove("multi:1", { force: false, prune: true }), {
    kind: "conflict",
    message: /must force/,
  });
  await assert.rejects(images.remove(mine.id, { force: true, prune: true }), {
    kind: "conflict",
    message: /used by running container/,
  });
  await assert.rejects(images.remove("multi:1", { force: true, prune: true, platforms: [FOREIGN] }), {
    kind: "conflict",
  });
  await images.prune({ dangling: ["false"] });
  assert.equal(images.get("multi:1", FOREIGN).id, theirs.id);
});

test("what is saved has the digests that came, whole or of the platforms asked for", async (t) => {
  const { images, mine, theirs, attestation, index } = await loaded(t);
  const whole = await savedBlobs(images.save(["multi:1"]));
  for (const bytes of [index, attestation, ociManifest(mine), ociManifest(theirs)])
    assert.ok(whole.has(digestOf(bytes).slice(7)));
  const one = await savedBlobs(images.save(["multi:1"], [FOREIGN]));
  assert.deepEqual(
    [...one.keys()].sort(),
    [digestOf(ociManifest(theirs)), theirs.id, ...theirs.layers.map((bytes) => digestOf(bytes))]
      .map((digest) => digest.slice(7))
      .sort(),
  );
  await assert.rejects(images.save(["multi:1"], [ABSENT]), { kind: "not-found" });
});

test("a saved index is loaded as the same index", async (t) => {
  const { images, index, theirs } = await loaded(t);
  const archive = Buffer.concat(await Array.fromAsync((await images.save(["multi:1"])) as AsyncIterable<Buffer>));
  const other = openTestImages(t);
  await other.load(archive);
  assert.equal(other.images.target("multi:1").descriptor.digest, digestOf(index));
  assert.equal(other.images.get("multi:1", FOREIGN).id, theirs.id);
});

test("platforms that come later join those that are here", async (t) => {
  const harness = openTestImages(t);
  const { images } = harness;
  const { mine, theirs, files } = await makeMulti();
  const archive = await makeTar(files("multi:1"));
  await images.load(streamOf(archive), { platforms: [FOREIGN], onProgress: () => {} });
  assert.equal(images.get("multi:1").id, theirs.id);
  assert.throws(() => images.get("multi:1", HOST), { kind: "not-found" });
  await images.load(streamOf(archive), { platforms: [HOST], onProgress: () => {} });
  assert.equal(images.get("multi:1").id, mine.id);
  assert.equal(images.get("multi:1", FOREIGN).id, theirs.id);
  assert.equal((await list(harness)).length, 1);
});

test("platforms that are loaded at the same time are all there afterwards", async (t) => {
  for (let round = 0; round < 5; round++) {
    const harness = openTestImages(t);
    const { mine, theirs, files } = await makeMulti();
    const archive = await makeTar(files("multi:1"));
    await Promise.all(
      [HOST, FOREIGN].map((platform) =>
        harness.images.load(streamOf(archive, 1000), { platforms: [platform], onProgress: () => {} }),
      ),
    );
    assert.equal(harness.images.get("multi:1").id, mine.id);
    assert.equal(harness.images.get("multi:1", FOREIGN).id, theirs.id);
    await harness.images.collect();
    await harness.images.unpack(harness.images.get("multi:1", FOREIGN));
  }
});

test("an artifact is kept, tagged and saved, and does not run", async (t) => {
  const harness = openTestImages(t);
  const { images } = harness;
  const empty = Buffer.from("{}");
  const chart = Buffer.from("a chart");
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.ociManifest,
      artifactType: "application/vnd.example.chart",
      config: { mediaType: MEDIA.ociEmpty, digest: digestOf(empty), size: 2 },
      layers: [{ mediaType: "application/vnd.example.chart.layer", digest: digestOf(chart), size: chart.length }],
    }),
  );
  const descriptor = { mediaType: MEDIA.ociManifest, digest: digestOf(manifest), size: manifest.length };
  await images.lease(async (lease) => {
    for (const bytes of [empty, chart, manifest]) await lease.store(() => harness.content.put(bytes));
    const { image, target } = await images.record({ target: descriptor, names: [parseReference("chart:1")] });
    assert.equal(image, undefined);
    assert.deepEqual(
      target.parts.map(({ kind, available }) => [kind, available]),
      [["unknown", true]],
    );
  });
  assert.throws(() => images.get("chart:1"), { kind: "invalid", message: /is an artifact/ });
  images.tag("chart:1", "chart", "2");
  const [shown] = await list(harness);
  assert.deepEqual([shown?.Id, shown?.RepoTags], [descriptor.digest, ["chart:1", "chart:2"]]);
  assert.equal((await images.inspect("chart:1")).Id, descriptor.digest);
  assert.equal((await savedBlobs(images.save(["chart:1"]))).size, 3);
  assert.equal((await harness.reopen().inspect("chart:2")).Id, descriptor.digest);
  await images.remove("chart:1", { force: false, prune: true });
  await images.remove("chart:2", { force: false, prune: true });
  assert.deepEqual(harness.blobs(), []);
});

test("recording what is not whole changes nothing, and says what is missing", async (t) => {
  const harness = openTestImages(t);
  const { images, content } = harness;
  const image = await makeImage({ layers: ["a", "b"] });
  const target = ociDescriptor({ image });
  await images.lease(async (lease) => {
    for (const bytes of [ociManifest(image), image.config, image.layers[0] as Buffer])
      await lease.store(() => content.put(bytes));
    const names = [parseReference("half:1")];
    await assert.rejects(images.record({ target, names }), {
      kind: "invalid",
      message: `invalid manifest ${target.digest}: blob ${digestOf(image.layers[1] as Buffer)} is missing`,
    });
    const index = ociIndex([target]);
    await lease.store(() => content.put(index));
    await assert.rejects(
      images.record({ target: { mediaType: MEDIA.ociIndex, digest: digestOf(index), size: index.length }, names }),
      { kind: "invalid", message: /none of its 1 images is complete/ },
    );
    assert.equal(harness.blobs().length, 4);
  });
  assert.deepEqual(harness.blobs(), []);
  assert.deepEqual(await list(harness), []);
});

/** Blobs beside a good image, and what the layout's index names first. */
const BAD: Readonly<Record<string, (good: TestImage) => { readonly blobs: readonly Buffer[]; readonly top: unknown }>> =
  {
    "indexes that lie too deep in each other": (good) => {
      const blobs = [ociIndex([ociDescriptor({ image: good })])];
      for (let depth = 0; depth < 6; depth++) blobs.unshift(ociIndex([describe(blobs[0] as Buffer)]));
      return { blobs, top: describe(blobs[0] as Buffer) };
    },
    "an index that is a manifest": (good) => ({
      blobs: [],
      top: { ...ociDescriptor({ image: good }), mediaType: MEDIA.ociIndex },
    }),
    "a manifest that is an index": (good) => {
      const index = ociIndex([ociDescriptor({ image: good })]);
      return { blobs: [index], top: { ...describe(index), mediaType: MEDIA.ociManifest } };
    },
    "an index that is no JSON": () => {
      const bytes = Buffer.from("no JSON");
      return { blobs: [bytes], top: describe(bytes) };
    },
    "an index that lies about a manifest's size": (good) => {
      const index = ociIndex([{ ...ociDescriptor({ image: good }), size: 7 }]);
      return { blobs: [index], top: describe(index) };
    },
    "an index whose images are all missing": () => {
      const index = ociIndex([{ mediaType: MEDIA.ociManifest, digest: digestOf("x"), size: 1, platform: HOST }]);
      return { blobs: [index], top: describe(index) };
    },
    "an index of more manifests than anybody has": () => {
      const many = Array.from({ length: 1100 }, (_, at) => ({
        mediaType: MEDIA.ociManifest,
        digest: digestOf(`${at}`),
        size: 1,
      }));
      const index = ociIndex(many);
      return { blobs: [index], top: describe(index) };
    },
  };

function describe(bytes: Buffer) {
  return { mediaType: MEDIA.ociIndex, digest: digestOf(bytes), size: bytes.length };
}

for (const [what, make] of Object.entries(BAD))
  test(`${what}: refused, and nothing is left`, async (t) => {
    const { load, blobs, images } = openTestImages(t);
    const good = await makeImage();
    const { blobs: extra, top } = make(good);
    const files = [
      OCI_LAYOUT_FILE,
      ["index.json", ociIndex([top])] as const,
      ...extra.map(blobFile),
      ...ociBlobs([good]),
    ];
    await assert.rejects(load(files), { kind: "invalid" });
    assert.deepEqual(blobs(), []);
    assert.equal(await images.layersSize(), 0);
  });

async function savedBlobs(archive: ReturnType<ImagesHarness["images"]["save"]>): Promise<Map<string, number>> {
  const blobs = new Map<string, number>();
  for await (const { header } of readTar((await archive) as AsyncIterable<Buffer>)) {
    const hex = /^blobs\/sha256\/(\w+)$/.exec(header.path)?.[1];
    if (hex !== undefined) blobs.set(hex, header.size);
  }
  return blobs;
}
