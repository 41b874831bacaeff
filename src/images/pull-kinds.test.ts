/** What a name in a registry may stand for: indexes, artifacts, foreign layers, and how they come out again by a push. */
import assert from "node:assert/strict";
import { before, type TestContext, test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { MEDIA } from "../oci/media-types.ts";
import { HOST_PLATFORM } from "../oci/platform.ts";
import type { Descriptor } from "../oci/types.ts";
import { makeImage, ociIndex, ociManifest, type TestImage } from "../testing/image-archives.ts";
import { openTestImages } from "../testing/images-harness.ts";
import { ScriptedRegistry } from "../testing/scripted-registry.ts";
import type { Progress } from "./images.ts";

const FOREIGN_PLATFORM = { os: "linux", architecture: "s390x" };
const ATTESTATION = Buffer.from('{"_type":"https://in-toto.io/Statement/v0.1"}');
const EMPTY = Buffer.from("{}");

let host: TestImage;
let foreign: TestImage;
before(async () => {
  host = await makeImage({ layers: ["base", "host"], compress: "gzip" });
  foreign = await makeImage({ layers: ["base", "foreign"], compress: "gzip", file: FOREIGN_PLATFORM });
});

async function setUp(t: TestContext) {
  const registry = await ScriptedRegistry.start();
  t.after(() => registry[Symbol.asyncDispose]());
  const harness = openTestImages(t);
  const lines: Progress[] = [];
  const onProgress = (line: Progress) => lines.push(line);
  return { ...harness, registry, lines, onProgress, name: `${registry.host}/team/app:1` };
}

const describe = (bytes: Buffer, mediaType: string = MEDIA.ociManifest): Descriptor => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});

/** Two platforms, and an attestation for each. */
function addIndex(registry: ScriptedRegistry): { readonly index: Buffer; readonly children: readonly Buffer[] } {
  const children: Buffer[] = [];
  const manifests = [host, foreign].flatMap((image, at) => {
    registry.addImage("team/app", `x${at}`, image);
    registry.manifests.delete(`team/app/x${at}`);
    const manifest = ociManifest(image);
    const statement = artifact(registry, "application/vnd.in-toto+json", ATTESTATION, { config: MEDIA.ociConfig });
    children.push(manifest, statement);
    const annotations = {
      "vnd.docker.reference.type": "attestation-manifest",
      "vnd.docker.reference.digest": digestOf(manifest),
    };
    return [
      { ...describe(manifest), platform: at === 0 ? HOST_PLATFORM : FOREIGN_PLATFORM },
      { ...describe(statement), annotations, platform: { os: "unknown", architecture: "unknown" } },
    ];
  });
  const index = ociIndex(manifests);
  registry.addManifest("team/app", "1", index, MEDIA.ociIndex);
  return { index, children };
}

function artifact(
  registry: ScriptedRegistry,
  type: string,
  blob: Buffer,
  { config = MEDIA.ociEmpty as string, artifactType = "" } = {},
) {
  for (const bytes of [blob, EMPTY]) registry.addBlob(bytes);
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.ociManifest,
      ...(artifactType && { artifactType }),
      config: describe(EMPTY, config),
      layers: [describe(blob, type)],
    }),
  );
  registry.addManifest("team/app", digestOf(bytes), bytes, MEDIA.ociManifest);
  return bytes;
}

test("of several platforms the machine's is pulled, and only that", async (t) => {
  const { registry, images, onProgress, name, blobs } = await setUp(t);
  const { index } = addIndex(registry);
  await images.pull(name, { onProgress });
  assert.equal(images.get(name).id, host.id);
  assert.equal(images.target(name).descriptor.digest, digestOf(index));
  assert.ok(!blobs().includes(foreign.id));
  assert.ok(!blobs().includes(digestOf(ATTESTATION)));
  const inspected = await images.inspect(name);
  assert.deepEqual(inspected.RepoDigests, [`${registry.host}/team/app@${digestOf(index)}`]);
});

test("--platform chooses; one that there is not is told with those that there are", async (t) => {
  const { images, registry, onProgress, name } = await setUp(t);
  addIndex(registry);
  await images.pull(name, { onProgress, platform: FOREIGN_PLATFORM });
  assert.equal(images.get(name).id, foreign.id);
  await images.pull(name, { onProgress });
  assert.equal(images.get(name).id, host.id, "the second one comes to the first");
  assert.equal(images.get(name, FOREIGN_PLATFORM).id, foreign.id);
  await assert.rejects(images.pull(name, { onProgress, platform: { os: "linux", architecture: "riscv64" } }), {
    kind: "not-found",
    message: /no matching manifest for linux\/riscv64 in the manifest list entries/,
    hint: /There is: .*linux\/s390x/,
  });
  registry.addImage("team/single", "1", host);
  await assert.rejects(images.pull(`${registry.host}/team/single:1`, { onProgress, platform: FOREIGN_PLATFORM }), {
    kind: "not-found",
    message: /does not match the specified platform: wanted linux\/s390x/,
  });
});

test("an image is pulled whole with its attestations when that is asked, and pushed whole with the same digests", async (t) => {
  const { registry, images, onProgress, name, snapshots } = await setUp(t);
  const { index, children } = addIndex(registry);
  await images.pull(name, { onProgress, platform: "all" });
  assert.equal(images.get(name).id, host.id);
  assert.equal(images.get(name, FOREIGN_PLATFORM).id, foreign.id);
  assert.ok(images.target(name).parts.every(({ available }) => available));
  assert.equal(snapshots.unpacked, 2, "the other platform is unpacked when it is used");
  const elsewhere = await ScriptedRegistry.start();
  t.after(() => elsewhere[Symbol.asyncDispose]());
  images.tag(name, `${elsewhere.host}/copy`, "2");
  await images.push(`${elsewhere.host}/copy:2`, { onProgress });
  assert.ok(elsewhere.manifests.get("copy/2")?.bytes.equals(index));
  for (const child of children) assert.ok(elsewhere.manifests.has(`copy/${digestOf(child)}`));
  assert.deepEqual([...elsewhere.blobs.keys()].sort(), [...registry.blobs.keys()].sort());
});

test("of an index that is not here whole, the one platform goes, and the client is told", async (t) => {
  const { registry, images, onProgress, name, lines } = await setUp(t);
  const { index } = addIndex(registry);
  await images.pull(name, { onProgress });
  const elsewhere = await ScriptedRegistry.start();
  t.after(() => elsewhere[Symbol.asyncDispose]());
  const copy = `${elsewhere.host}/copy`;
  images.tag(name, copy, "1");
  await images.push(`${copy}:1`, { onProgress });
  assert.ok(elsewhere.manifests.get("copy/1")?.bytes.equals(ociManifest(host)));
  const note = lines.at(-1)?.aux as { manifestPushedInsteadOfIndex: boolean; originalIndex: Descriptor };
  assert.deepEqual([note.manifestPushedInsteadOfIndex, note.originalIndex.digest], [true, digestOf(index)]);
  await images.pull(name, { onProgress, platform: FOREIGN_PLATFORM });
  images.tag(name, copy, "2");
  await assert.rejects(images.push(`${copy}:2`, { onProgress }), {
    kind: "not-found",
    message: /is not here with all its platforms/,
  });
  await images.push(`${copy}:2`, { onProgress, platform: FOREIGN_PLATFORM });
  assert.ok(elsewhere.manifests.get("copy/2")?.bytes.equals(ociManifest(foreign)));
});

test("another tag of an index that the registry has needs nothing that is not here", async (t) => {
  const { registry, images, onProgress, name } = await setUp(t);
  const { index } = addIndex(registry);
  await images.pull(name, { onProgress });
  images.tag(name, `${registry.host}/team/app`, "2");
  await images.push(`${registry.host}/team/app:2`, { onProgress });
  assert.ok(registry.manifests.get("team/app/2")?.bytes.equals(index));
});

test("an artifact is kept as it is, goes out as it came, and is not run", async (t) => {
  const { registry, images, onProgress, name } = await setUp(t);
  const bytes = artifact(registry, "application/vnd.test.chart", Buffer.from("chart"), {
    artifactType: "application/vnd.test",
  });
  registry.addManifest("team/app", "1", bytes, MEDIA.ociManifest);
  await images.pull(name, { onProgress });
  assert.throws(() => images.get(name), { kind: "invalid" });
  const elsewhere = await ScriptedRegistry.start();
  t.after(() => elsewhere[Symbol.asyncDispose]());
  images.tag(name, `${elsewhere.host}/charts`, "1");
  await images.push(`${elsewhere.host}/charts:1`, { onProgress });
  assert.ok(elsewhere.manifests.get("charts/1")?.bytes.equals(bytes));
  assert.equal(elsewhere.blobs.get(digestOf("chart"))?.toString(), "chart");
});

test("a foreign layer comes from where it says, and is not pushed", async (t) => {
  const { registry, images, onProgress, name } = await setUp(t);
  const elsewhere = await ScriptedRegistry.start();
  t.after(() => elsewhere[Symbol.asyncDispose]());
  registry.addImage("team/app", "1", host);
  const [lower = Buffer.alloc(0)] = host.layers;
  registry.blobs.delete(digestOf(lower));
  elsewhere.addBlob(lower);
  const manifest = JSON.parse(ociManifest(host).toString());
  manifest.layers[0].mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
  manifest.layers[0].urls = [
    "ftp://nowhere/",
    "http://127.0.0.1:1/none",
    `http://${elsewhere.host}/v2/x/blobs/${digestOf(lower)}`,
  ];
  registry.addManifest("team/app", "1", Buffer.from(JSON.stringify(manifest)), MEDIA.ociManifest);
  await images.pull(name, { onProgress });
  assert.equal(images.get(name).id, host.id);
  images.tag(name, `${registry.host}/again`, "1");
  await images.push(`${registry.host}/again:1`, { onProgress });
  assert.ok(!registry.blobs.has(digestOf(lower)));
  assert.ok(registry.manifests.has("again/1"));
});

test("a digest pins what is pulled; a tag beside it only decorates", async (t) => {
  const { registry, images, onProgress } = await setUp(t);
  const digest = registry.addImage("team/app", "1", host);
  registry.addImage("team/app", "1", foreign);
  await images.pull(`${registry.host}/team/app:1@${digest}`, { onProgress });
  assert.equal(images.get(`${registry.host}/team/app@${digest}`).id, host.id);
  assert.throws(() => images.get(`${registry.host}/team/app:1`), { kind: "not-found" });
});

test("an index without end, or in itself, is refused", async (t) => {
  const { registry, images, onProgress, name } = await setUp(t);
  let inner = ociIndex([{ ...describe(ociManifest(host)), platform: HOST_PLATFORM }]);
  for (let depth = 0; depth < 6; depth++) {
    registry.addManifest("team/app", `d${depth}`, inner, MEDIA.ociIndex);
    inner = ociIndex([{ ...describe(inner, MEDIA.ociIndex), platform: HOST_PLATFORM }]);
  }
  registry.addManifest("team/app", "1", inner, MEDIA.ociIndex);
  for (const platform of [undefined, "all"] as const)
    await assert.rejects(images.pull(name, { onProgress, platform }), {
      kind: "invalid",
      message: /deep in each other/,
    });
});
