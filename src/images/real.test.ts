/** Images over real layers: overlay, workers, the machine's own busybox. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createReadStream, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxArchive } from "../../scripts/base-image.ts";
import { digestOf } from "../base/digest.ts";
import { silentLogger } from "../base/log.ts";
import { openContent } from "../content/open.ts";
import type { Events } from "../events/events.ts";
import { mount, unmount } from "../kernel/mounts.ts";
import { MEDIA } from "../oci/media-types.ts";
import { HOST_PLATFORM } from "../oci/platform.ts";
import { openRemote, REMOTE_DEFAULTS } from "../remote/open.ts";
import { openSnapshots } from "../snapshots/open.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import {
  blobFile,
  dockerFiles,
  makeImage,
  makeTar,
  OCI_LAYOUT_FILE,
  ociBlobs,
  ociDescriptor,
  ociIndex,
  streamOf,
  type TestImage,
} from "../testing/image-archives.ts";
import type { Progress } from "./images.ts";
import { openImages } from "./open.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";

/** A folder, and what to do before it is removed, the latest first. */
function temporary(t: TestContext): { readonly root: string; before(work: () => unknown): void } {
  const root = mkdtempSync(join(tmpdir(), "gantry-images-real-"));
  const works: (() => unknown)[] = [];
  t.after(async () => {
    for (const work of works.reverse()) await work();
    rmSync(root, { recursive: true, force: true });
  });
  return { root, before: (work) => works.push(work) };
}

async function openReal(t: TestContext, { root, before } = temporary(t)) {
  const store = openStore(makePaths(join(root, "data"), join(root, "run")));
  before(() => store.close());
  const snapshots = await openSnapshots({ store });
  before(() => snapshots.close());
  const content = openContent(store);
  const events = { publish() {} } as unknown as Events;
  const images = openImages({
    store,
    content,
    snapshots,
    events,
    remote: openRemote({ settings: REMOTE_DEFAULTS }),
    uses: () => [],
    logger: silentLogger,
  });
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
  const options = { parent, config: { Cmd: ["x"] }, createdBy: "x", containerId: "container" };
  const unchanged = await images.commit({ ...options, diff: snapshots.diff("container") });
  assert.equal(images.get(unchanged).chainId, parent.chainId);
  await images.remove(unchanged, { force: false, prune: true });
  await images.remove("base:1", { force: true, prune: true });
  assert.equal(snapshots.layers().length, 1);
  await snapshots.remove("container");
  await images.collect();
  assert.equal(await images.layersSize(), 0);
});

test("df says what du says, and prune gives back to the disk what it says", { skip }, async (t) => {
  const { root, images } = await openReal(t);
  const du = () => {
    const folders = ["content/blobs", "snapshots"].map((name) => join(root, "data", name));
    return Number(/(\d+)\ttotal/.exec(spawnSync("du", ["-scB1", ...folders], { encoding: "utf8" }).stdout)?.[1]);
  };
  const empty = du();
  const [one, two] = [
    await makeImage({ layers: ["base".repeat(5000), "one".repeat(100_000)], compress: "gzip" }),
    await makeImage({ layers: ["base".repeat(5000), "two", "three"] }),
  ];
  await images.load(streamOf(await makeTar(dockerFiles([[one], [two, "two:1"]]))), { onProgress: () => {} });
  const full = du();
  assert.equal(await images.layersSize(), full - empty);
  const list = await images.list({ all: true, filters: {}, sharedSize: true, digests: false, manifests: false });
  const shared = Math.max(...list.map(({ SharedSize }) => SharedSize));
  assert.equal(
    list.reduce((sum, { Size, SharedSize }) => sum + Size - SharedSize, shared),
    full - empty,
  );
  const first = await images.prune({});
  assert.equal(first.SpaceReclaimed, full - du());
  assert.ok(first.SpaceReclaimed > 0);
  await images.prune({ dangling: ["false"] });
  assert.deepEqual([await images.layersSize(), du()], [0, empty]);
});

test("a disk that fills up during a load is said to be full, and gets its space back", { skip }, async (t) => {
  const folder = temporary(t);
  const disk = join(folder.root, "data");
  mkdirSync(disk);
  mount({ source: "tmpfs", target: disk, type: "tmpfs", data: "size=6m" });
  folder.before(() => unmount(disk, { detach: true }));
  const { images, content, snapshots } = await openReal(t, folder);
  const load = async (image: TestImage, tag: string) =>
    images.load(streamOf(await makeTar(dockerFiles([[image, tag]]))), { onProgress: () => {} });
  const small = await makeImage({ layers: ["small", "x".repeat(300_000)] });
  for (const megabytes of [4, 9]) {
    const large = await makeImage({ layers: ["small", "x".repeat(megabytes << 20)] });
    await assert.rejects(load(large, "large:1"), { kind: "unavailable", message: /no space left on device/ });
    assert.deepEqual([[...content.walk()], snapshots.layers()], [[], []]);
  }
  await load(small, "small:1");
  assert.equal(images.get("small:1").id, small.id);
});

const LOADER = `
  import { createReadStream } from "node:fs";
  import { openContent } from "${import.meta.dirname}/../content/open.ts";
  import { openSnapshots } from "${import.meta.dirname}/../snapshots/open.ts";
  import { openRemote, REMOTE_DEFAULTS } from "${import.meta.dirname}/../remote/open.ts";
  import { openStore } from "${import.meta.dirname}/../store/open.ts";
  import { makePaths } from "${import.meta.dirname}/../store/paths.ts";
  import { openImages } from "${import.meta.dirname}/open.ts";
  const [root] = process.argv.slice(1);
  const store = openStore(makePaths(root + "/data", root + "/run"));
  const snapshots = await openSnapshots({ store });
  const logger = { log() {} };
  const images = openImages({ store, content: openContent(store), snapshots, events: { publish() {} }, remote: openRemote({ settings: REMOTE_DEFAULTS }), uses: () => [], logger });
  const load = () => images.load(createReadStream(root + "/image.tar"), { onProgress() {} });
  process.stdout.write("ready");
`;
const ONE_LOAD = "await load(); process.exit(0);";
/** All of a life, over and over: what a kill meets is left to chance. */
const LIVES = `
  for (;;) {
    await load();
    images.tag("multi:1", "other", "1");
    images.tag("multi:1", "part", "1", { os: "linux", architecture: "s390x" });
    await images.unpack(images.get("part:1"));
    await images.remove("multi:1", { force: false, prune: true });
    await images.remove("other:1", { force: false, prune: true, platforms: [{ os: "linux", architecture: "s390x" }] });
    await images.remove("part:1", { force: false, prune: true });
    await images.prune({ dangling: ["false"] });
  }`;

/** What a killed process left. */
async function openAt(root: string) {
  const store = openStore(makePaths(join(root, "data"), join(root, "run")));
  const snapshots = await openSnapshots({ store });
  const content = openContent(store);
  const events = { publish() {} } as unknown as Events;
  const remote = openRemote({ settings: REMOTE_DEFAULTS });
  const images = openImages({ store, content, snapshots, events, remote, uses: () => [], logger: silentLogger });
  return { store, images, content, snapshots };
}

test("a kill during a load leaves the whole image or nothing that is not collected", { skip }, async (t) => {
  const { root } = temporary(t);
  const image = await makeImage({ layers: ["a".repeat(3 << 20), "b".repeat(3 << 20), "c"] });
  writeFileSync(join(root, "image.tar"), await makeTar(dockerFiles([[image, "k:1"]])));
  let finished = 0;
  for (let round = 0; round < 12; round++) {
    await killedAfter(root, ONE_LOAD, 4 * round ** 2);
    const { store, images, content, snapshots } = await openAt(root);
    await images.collect();
    const names = await images.list({ all: true, filters: {}, sharedSize: false, digests: false, manifests: false });
    assert.equal([...content.walk()].length, names.length * 5);
    assert.equal(snapshots.layers().length, names.length * 3);
    finished += names.length;
    if (names.length > 0) await images.remove("k:1", { force: false, prune: true });
    await snapshots.close();
    store.close();
  }
  t.diagnostic(`${finished} of 12 loads were finished`);
});

test("a kill at any point of an image's life leaves names that stand for whole images, and nothing else", {
  skip,
}, async (t) => {
  const { root } = temporary(t);
  const foreign = { os: "linux", architecture: "s390x" };
  const [mine, other] = [
    await makeImage({ layers: ["a".repeat(300_000), "b"] }),
    await makeImage({ layers: ["a".repeat(300_000), "c"], file: foreign }),
  ];
  const host = { os: HOST_PLATFORM.os, architecture: HOST_PLATFORM.architecture };
  const index = ociIndex([
    ociDescriptor({ image: mine, platform: host }),
    ociDescriptor({ image: other, platform: foreign }),
  ]);
  const annotations = { "org.opencontainers.image.ref.name": "docker.io/library/multi:1" };
  const top = ociIndex([{ mediaType: MEDIA.ociIndex, digest: digestOf(index), size: index.length, annotations }]);
  const files = [OCI_LAYOUT_FILE, ["index.json", top] as const, blobFile(index), ...ociBlobs([mine, other])];
  writeFileSync(join(root, "image.tar"), await makeTar(files));
  for (let round = 0; round < 12; round++) {
    await killedAfter(root, LIVES, Math.random() * 300);
    const { store, images, content, snapshots } = await openAt(root);
    await images.collect();
    const list = await images.list({ all: true, filters: {}, sharedSize: false, digests: true, manifests: true });
    for (const name of list.flatMap(({ RepoTags }) => RepoTags)) {
      const { parts, documents } = images.target(name);
      for (const digest of [...documents, ...parts.flatMap(({ blobs }) => blobs)]) assert.ok(content.info(digest));
      await images.unpack(images.get(name));
    }
    await images.prune({ dangling: ["false"] });
    assert.deepEqual([[...content.walk()], snapshots.layers()], [[], []]);
    await snapshots.close();
    store.close();
  }
});

/** Lets a process of its own work with the image, and kills it this long after it is ready. */
async function killedAfter(root: string, work: string, milliseconds: number): Promise<void> {
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", LOADER + work, root], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await once(child.stdout, "data");
  await sleep(milliseconds);
  child.kill("SIGKILL");
  await exited;
}
