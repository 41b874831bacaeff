import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "../base/digest.ts";
import { MEDIA } from "../oci/media-types.ts";
import { HOST_PLATFORM } from "../oci/platform.ts";
import {
  blobFile,
  dockerFiles,
  makeImage,
  makeTar,
  OCI_LAYOUT_FILE,
  ociBlobs,
  ociDescriptor,
  ociFiles,
  ociIndex,
  ociManifest,
  streamOf,
  type TarFile,
} from "../testing/image-archives.ts";
import { openTestImages } from "../testing/images-harness.ts";
import type { Progress } from "./images.ts";

const FOREIGN = { os: "linux", architecture: "s390x" };
const host = { os: HOST_PLATFORM.os, architecture: HOST_PLATFORM.architecture };

test("a Docker archive gives an image whose id is its configuration's digest, under its tags", async (t) => {
  const { images, load, published } = openTestImages(t);
  const image = await makeImage({ layers: ["a", "b"] });
  const lines = await load(dockerFiles([[image, "test:1", "example.com/x/y:2"]]));
  assert.deepEqual(lines, ["Loaded image: test:1\n", "Loaded image: example.com/x/y:2\n"]);
  assert.equal(images.get("test:1").id, image.id);
  assert.equal(images.get("example.com/x/y:2").id, image.id);
  assert.deepEqual((await images.inspect("test:1")).RootFS.Layers, image.diffIds);
  assert.deepEqual(published, [{ type: "image", action: "load", id: image.id, attributes: { name: image.id } }]);
});

test("an archive without tags gives a dangling image", async (t) => {
  const { images, load } = openTestImages(t);
  const image = await makeImage();
  assert.deepEqual(await load(dockerFiles([[image]])), [`Loaded image ID: ${image.id}\n`]);
  assert.deepEqual((await images.inspect(image.id)).RepoTags, []);
});

for (const [name, compress] of [
  ["plain", (tar: Buffer) => tar],
  ["gzip", (tar: Buffer) => gzipSync(tar)],
  ["zstd", (tar: Buffer) => zstdCompressSync(tar)],
] as const)
  for (const layers of [undefined, "gzip", "zstd"] as const)
    test(`a ${name} archive with ${layers ?? "plain"} layers is read, whatever the order of its entries`, async (t) => {
      const { images, load } = openTestImages(t);
      const image = await makeImage({ layers: ["a", "b", "c"], compress: layers });
      await load(compress(await makeTar(dockerFiles([[image, "fwd:1"]]))));
      await load(compress(await makeTar(dockerFiles([[image, "rev:1"]]).reverse())));
      assert.equal(images.get("fwd:1").id, image.id);
      assert.equal(images.get("rev:1").id, image.id);
    });

for (const tool of ["xz", "bzip2"] as const)
  test(`an archive and a root file system packed by ${tool} are read`, {
    skip: spawnSync(tool, ["--version"], { input: "" }).error === undefined ? false : `no ${tool} here`,
  }, async (t) => {
    const { images, load } = openTestImages(t);
    const image = await makeImage({ layers: ["a", "b"] });
    const packed = (tar: Buffer) => spawnSync(tool, ["-c"], { input: tar }).stdout;
    await load(packed(await makeTar(dockerFiles([[image, "packed:1"]]))));
    assert.equal(images.get("packed:1").id, image.id);
    const id = await images.import(streamOf(packed(await makeTar([["f", "x"]]))), { changes: [] });
    assert.equal(images.get(id).config.rootfs.diff_ids.length, 1);
    await assert.rejects(load(packed(await makeTar(dockerFiles([[image, "cut:1"]]))).subarray(0, 200)), {
      kind: "invalid",
    });
  });

test("layers larger than what is kept in memory are spooled, and stored once", async (t) => {
  const { images, load, blobs, snapshots } = openTestImages(t);
  const image = await makeImage({ layers: ["x".repeat(900_000), "y".repeat(500_000)] });
  await load(dockerFiles([[image, "big:1"]]));
  const before = blobs().sort();
  assert.equal(before.length, 4);
  await load(dockerFiles([[image, "again:1"]]));
  assert.deepEqual(blobs().sort(), before);
  assert.equal(snapshots.unpacked, 2);
  assert.equal(images.get("again:1").id, image.id);
});

test("links inside the archive are followed, loops and ways out are not", async (t) => {
  const { images, load, blobs } = openTestImages(t);
  const image = await makeImage();
  const layer = image.layers[0] ?? Buffer.alloc(0);
  const files = (path: string, target: TarFile[1]): TarFile[] => [
    ["real/layer.tar", layer],
    [path, target],
    ["c.json", image.config],
    ["manifest.json", JSON.stringify([{ Config: "c.json", RepoTags: ["l:1"], Layers: [path] }])],
  ];
  await load(files("link/layer.tar", { link: "../real/layer.tar" }));
  assert.equal(images.get("l:1").id, image.id);
  await images.remove("l:1", { force: false, prune: true });
  await load(files("hard.tar", { hardLink: "real/layer.tar" }));
  assert.equal(images.get("l:1").id, image.id);
  await images.remove("l:1", { force: false, prune: true });
  await assert.rejects(load(files("loop.tar", { link: "loop.tar" })), {
    kind: "invalid",
    message: /no file "loop.tar"/,
  });
  await assert.rejects(load(files("out.tar", { link: "../../etc/passwd" })), { kind: "invalid" });
  assert.deepEqual(blobs(), []);
});

test("a tag that moves is told, and the old image stays without a name", async (t) => {
  const { images, load } = openTestImages(t);
  const [one, two] = [await makeImage({ layers: ["1"] }), await makeImage({ layers: ["2"] })];
  await load(dockerFiles([[one, "t:latest"]]));
  assert.deepEqual(await load(dockerFiles([[two, "t:latest"]])), [
    `The image t:latest already exists, renaming the old one with ID ${one.id} to empty string\n`,
    "Loaded image: t:latest\n",
  ]);
  assert.equal(images.get("t").id, two.id);
  assert.deepEqual((await images.inspect(one.id)).RepoTags, []);
});

test("progress is told for layers that are unpacked, and ends with the whole", async (t) => {
  const { images } = openTestImages(t);
  const image = await makeImage({ layers: ["a"] });
  const lines: Progress[] = [];
  await images.load(streamOf(await makeTar(dockerFiles([[image, "p:1"]]))), { onProgress: (line) => lines.push(line) });
  const size = image.layers[0]?.length;
  assert.deepEqual(lines.at(-2), {
    status: "Loading layer",
    progressDetail: { current: size, total: size },
    id: image.diffIds[0]?.slice(7, 19),
  });
});

test("an OCI layout gives its images under both annotations, with their digests as names", async (t) => {
  const { images, load } = openTestImages(t);
  const [one, two, three] = [
    await makeImage({ layers: ["1"], compress: "gzip" }),
    await makeImage({ layers: ["2"], compress: "zstd" }),
    await makeImage({ layers: ["3"] }),
  ];
  const lines = await load(
    ociFiles([
      {
        image: one,
        annotations: {
          "io.containerd.image.name": "docker.io/library/one:v1",
          "org.opencontainers.image.ref.name": "v1",
        },
      },
      { image: two, annotations: { "org.opencontainers.image.ref.name": "example.com/two:v2" } },
      { image: three, annotations: { "org.opencontainers.image.ref.name": "latest" } },
    ]),
  );
  assert.deepEqual(lines, [
    "Loaded image: one:v1\n",
    "Loaded image: example.com/two:v2\n",
    `Loaded image ID: ${three.id}\n`,
  ]);
  const digest = digestOf(ociManifest(one));
  assert.deepEqual((await images.inspect("one:v1")).RepoDigests, [`one@${digest}`]);
  assert.equal(images.get(`one@${digest}`).id, one.id);
  assert.equal(images.get("example.com/two:v2").id, two.id);
});

test("of an image with several platforms the host's is shown, and all are there", async (t) => {
  const { images, load } = openTestImages(t);
  const [mine, theirs] = [await makeImage({ layers: ["m"] }), await makeImage({ layers: ["t"], file: FOREIGN })];
  const index = ociIndex([
    ociDescriptor({ image: theirs, platform: FOREIGN }),
    ociDescriptor({ image: mine, platform: host }),
    {
      mediaType: MEDIA.ociManifest,
      digest: `sha256:${"0".repeat(64)}`,
      size: 5,
      platform: { os: "linux", architecture: "386" },
    },
    {
      ...ociDescriptor({ image: mine, platform: { os: "unknown", architecture: "unknown" } }),
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    },
  ]);
  const nested = { mediaType: MEDIA.ociIndex, digest: digestOf(index), size: index.length };
  const files: TarFile[] = [
    OCI_LAYOUT_FILE,
    blobFile(index),
    ...ociBlobs([mine, theirs]),
    ["index.json", ociIndex([{ ...nested, annotations: { "org.opencontainers.image.ref.name": "multi:1" } }])],
  ];
  await load(files);
  assert.equal(images.get("multi:1").id, mine.id);
  assert.equal(images.get("multi:1", FOREIGN).id, theirs.id);
  const wanted = { os: "linux", architecture: "mips" };
  await assert.rejects(images.load(streamOf(await makeTar(files)), { platforms: [wanted], onProgress: () => {} }), {
    kind: "not-found",
    message: "requested platform (linux/mips) not found: image might be filtered out",
  });
});

test("variants that lie side by side in index.json are one image", async (t) => {
  const { images, load } = openTestImages(t);
  const [mine, theirs] = [await makeImage({ layers: ["m"] }), await makeImage({ layers: ["t"], file: FOREIGN })];
  const annotations = { "org.opencontainers.image.ref.name": "side:1" };
  await load(
    ociFiles([
      { image: theirs, annotations, platform: FOREIGN },
      { image: mine, annotations, platform: host },
    ]),
  );
  assert.equal(images.get("side:1").id, mine.id);
  assert.equal(
    (await images.list({ all: true, filters: {}, sharedSize: false, digests: true, manifests: false })).length,
    1,
  );
});

test("of an archive that is both, the manifest comes from the layout and tags from both", async (t) => {
  const { images, load } = openTestImages(t);
  const image = await makeImage();
  const blob = (digest: string) => `blobs/sha256/${digest.slice(7)}`;
  const manifest = [{ Config: blob(image.id), RepoTags: ["docker:1"], Layers: image.diffIds.map(blob) }];
  const lines = await load([
    ...ociFiles([{ image, annotations: { "io.containerd.image.name": "docker.io/library/oci:1" } }]),
    ["manifest.json", JSON.stringify(manifest)],
  ]);
  assert.deepEqual(lines, ["Loaded image: oci:1\n", "Loaded image: docker:1\n"]);
  assert.equal(images.get("docker:1").manifest.digest, digestOf(ociManifest(image)));
});

test("images are there again after a restart", async (t) => {
  const { load, reopen } = openTestImages(t);
  const image = await makeImage({ config: { Labels: { a: "b" } } });
  await load(dockerFiles([[image, "stay:1"]]));
  const again = reopen();
  assert.equal(again.get("stay:1").id, image.id);
  assert.deepEqual(again.get("stay:1").config.config?.Labels, { a: "b" });
});

const good = await makeImage({ layers: ["x".repeat(400_000), "b"] });
const docker = dockerFiles([[good, "bad:1"]]);
const oci = ociFiles([{ image: good, annotations: { "org.opencontainers.image.ref.name": "bad:1" } }]);
const without = (files: readonly TarFile[], path: RegExp) => files.filter(([name]) => !path.test(name));
const replaced = (files: readonly TarFile[], path: RegExp, content: string | Buffer): TarFile[] =>
  files.map((file) => (path.test(file[0]) ? [file[0], content] : file));
const manifestJson = (entry: unknown) => replaced(docker, /^manifest.json$/, JSON.stringify(entry));
const layerPath = good.layers.map((layer) => `${digestOf(layer).slice(7)}/layer.tar`);
const other = await makeTar([["evil", "y".repeat(400_000)]]);
const config = (file: Record<string, unknown>) =>
  replaced(docker, /^[0-9a-f]+\.json$/, JSON.stringify({ ...JSON.parse(good.config.toString()), ...file }));

const HOSTILE: readonly (readonly [what: string, files: TarFile[] | Buffer, message: RegExp])[] = [
  ["nothing at all", Buffer.alloc(0), /does not contain a manifest.json/],
  ["an empty tar", [], /does not contain a manifest.json/],
  ["garbage", Buffer.alloc(4096, "garbage"), /tar header/],
  ["a root file system", [["bin/sh", "x"]], /does not contain a manifest.json/],
  ["only the oldest format's list", [["repositories", "{}"]], /before 1.10 is not supported/],
  ["a tar cut off in a layer", (await makeTar(docker)).subarray(0, 100_000), /./],
  ["gzip cut off", gzipSync(await makeTar(docker)).subarray(0, 500), /compressed data|unexpected end/],
  ["xz", Buffer.from("fd377a585a0000", "hex"), /xz/],
  ["a missing configuration", without(docker, /^[0-9a-f]+\.json$/), /it has no file/],
  ["a missing layer", without(docker, /layer\.tar$/), /it has no file/],
  ["another layer under its name", replaced(docker, new RegExp(layerPath[0] ?? ""), other), /expected sha256/],
  [
    "too few layers",
    manifestJson([{ Config: `${good.id.slice(7)}.json`, Layers: [layerPath[0]] }]),
    /layers length mismatch: expected 2, got 1/,
  ],
  ["a manifest.json that is no list", manifestJson({}), /expected an array/],
  ["a manifest.json of null", manifestJson([null]), /Config/],
  ["a Config that is no text", manifestJson([{ Config: 1 }]), /Config/],
  ["Layers that are no list", manifestJson([{ Config: "x", Layers: "y" }]), /Layers/],
  ["a tag that is no name", manifestJson([{ Config: "x", Layers: [], RepoTags: ["A b"] }]), /invalid reference format/],
  ["a tag without a tag", manifestJson([{ Config: "x", Layers: [], RepoTags: ["a"] }]), /invalid tag "a"/],
  ["a configuration outside the archive", manifestJson([{ Config: "../../etc/passwd", Layers: [] }]), /no file/],
  ["a wrong rootfs", config({ rootfs: { type: "layers", diff_ids: ["sha256:x"] } }), /diff_ids/],
  ["a configuration that is no JSON", replaced(docker, /^[0-9a-f]+\.json$/, "{"), /not valid JSON/],
  ["an entry that leaves the archive", [...docker, ["../x", "y"]], /leaves the archive/],
  ["a blob with other bytes (small)", replaced(oci, new RegExp(good.id.slice(7)), "{}"), /blob has digest/],
  ["a blob with other bytes (large)", replaced(oci, new RegExp(good.diffIds[0]?.slice(7) ?? "x"), other), /has digest/],
  ["a layout without the manifest", without(oci, new RegExp(digestOf(ociManifest(good)).slice(7))), /no file/],
  ["an index without images", [OCI_LAYOUT_FILE, ["index.json", ociIndex([])]], /names no image/],
  [
    "a wrong size in the index",
    [...without(oci, /index.json/), ["index.json", ociIndex([{ ...ociDescriptor({ image: good }), size: 1 }])]],
    /expected 1/,
  ],
];

for (const [what, files, message] of HOSTILE)
  test(`an archive with ${what} is refused, and nothing of it stays`, async (t) => {
    const { images, load, blobs, snapshots, store, published } = openTestImages(t);
    await assert.rejects(load(files), { kind: "invalid", message });
    assert.deepEqual(blobs(), []);
    assert.deepEqual(snapshots.layers(), []);
    assert.deepEqual(store.all("SELECT * FROM images"), []);
    assert.deepEqual(published, []);
    assert.equal(await images.collect(), 0);
  });

test("indexes nested without end are refused", async (t) => {
  const { load, blobs } = openTestImages(t);
  const files: TarFile[] = [OCI_LAYOUT_FILE, ...ociBlobs([good])];
  let inner: Record<string, unknown> = { ...ociDescriptor({ image: good }) };
  for (let i = 0; i < 6; i++) {
    const index = ociIndex([inner]);
    files.push(blobFile(index));
    inner = { mediaType: MEDIA.ociIndex, digest: digestOf(index), size: index.length };
  }
  await assert.rejects(load([...files, ["index.json", ociIndex([inner])]]), { kind: "invalid", message: /deep/ });
  assert.deepEqual(blobs(), []);
});

test("a load that is cancelled leaves nothing", async (t) => {
  const { images, blobs, snapshots } = openTestImages(t);
  const controller = new AbortController();
  snapshots.beforeUnpack = () => controller.abort();
  const archive = streamOf(await makeTar(docker));
  await assert.rejects(images.load(archive, { signal: controller.signal, onProgress: () => {} }), {
    name: "AbortError",
  });
  assert.deepEqual([blobs(), snapshots.layers()], [[], []]);
});

test("a client that goes away in the middle leaves nothing", async (t) => {
  const { images, blobs } = openTestImages(t);
  const archive = streamOf((await makeTar(docker)).subarray(0, 200_000));
  setTimeout(() => archive.destroy(new Error("gone")), 1);
  await assert.rejects(images.load(archive, { onProgress: () => {} }));
  assert.deepEqual(blobs(), []);
});

test("loads and collections at the same time lose nothing", async (t) => {
  const { images, load, snapshots } = openTestImages(t);
  snapshots.beforeUnpack = () => turn();
  const made = await Promise.all(["a", "b", "c", "d"].map((text) => makeImage({ layers: ["shared", text] })));
  let done = false;
  const collecting = (async () => {
    while (!done) {
      await images.collect();
      await turn();
    }
  })();
  await Promise.all(made.map((image, at) => load(dockerFiles([[image, `c${at}:1`]]))));
  done = true;
  await collecting;
  for (const [at, image] of made.entries()) {
    const { chainId, id } = images.get(`c${at}:1`);
    assert.equal(id, image.id);
    assert.ok(chainId !== undefined && snapshots.layer(chainId) !== undefined);
  }
  await drained(t, images);
});

async function drained(t: TestContext, images: ReturnType<typeof openTestImages>["images"]): Promise<void> {
  for (const name of ["c0:1", "c1:1", "c2:1", "c3:1"]) await images.remove(name, { force: false, prune: true });
  assert.equal(await images.layersSize(), 0);
  t.diagnostic("all removed");
}
