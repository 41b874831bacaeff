/** Archives of several images and platforms, from and to the tools that others use. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createReadStream, createWriteStream, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type TestContext, test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { MEDIA } from "../oci/media-types.ts";
import { HOST_PLATFORM } from "../oci/platform.ts";
import type { Platform } from "../oci/types.ts";
import {
  blobFile,
  dockerFiles,
  makeImage,
  OCI_LAYOUT_FILE,
  ociBlobs,
  ociDescriptor,
  ociIndex,
  ociManifest,
} from "../testing/image-archives.ts";
import { type ImagesHarness, openTestImages } from "../testing/images-harness.ts";

const HOST = { os: HOST_PLATFORM.os, architecture: HOST_PLATFORM.architecture };
const OTHER = { os: "linux", architecture: HOST.architecture === "arm64" ? "amd64" : "arm64" };

const missing = (tool: string) =>
  spawnSync(tool, ["--version"]).error === undefined ? false : `${tool} is not installed`;

function run(tool: string, ...args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync(tool, args, { encoding: "utf8" });
  assert.equal(status, 0, `${tool} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "gantry-interop-"));
  // Storage of podman and buildah has folders that only rm goes into.
  t.after(() => spawnSync("rm", ["-rf", path]));
  return path;
}

/** podman's or buildah's own storage, and nobody else's. */
const storage = (root: string) => [
  "--root",
  join(root, "store"),
  "--runroot",
  join(root, "run"),
  "--storage-driver",
  "vfs",
];

async function saved(harness: ImagesHarness, path: string, names: readonly string[], platforms?: readonly Platform[]) {
  await pipeline(await harness.images.save(names, platforms), createWriteStream(path));
  return path;
}

async function loadFile({ images }: ImagesHarness, path: string): Promise<string[]> {
  const lines: string[] = [];
  await images.load(createReadStream(path), { onProgress: ({ stream }) => stream !== undefined && lines.push(stream) });
  return lines;
}

/** An image of two platforms, and one of one, in gzip. */
async function twoImages(t: TestContext) {
  const harness = openTestImages(t);
  const mine = await makeImage({ layers: ["base", "mine"], compress: "gzip", config: { Labels: { of: "host" } } });
  const other = await makeImage({ layers: ["base", "other"], compress: "gzip", file: OTHER });
  const index = ociIndex([
    ociDescriptor({ image: other, platform: OTHER }),
    ociDescriptor({ image: mine, platform: HOST }),
  ]);
  const descriptor = { mediaType: MEDIA.ociIndex, digest: digestOf(index), size: index.length };
  await harness.load([
    OCI_LAYOUT_FILE,
    ["index.json", ociIndex([{ ...descriptor, annotations: { "io.containerd.image.name": "example.com/multi:v1" } }])],
    blobFile(index),
    ...ociBlobs([mine, other]),
  ]);
  const single = await makeImage({ layers: ["single"], compress: "gzip" });
  await harness.load(dockerFiles([[single, "example.com/single:v2"]]));
  return { ...harness, mine, other, index, single };
}

test("skopeo copies an image whole, with the digest it has here, and back", { skip: missing("skopeo") }, async (t) => {
  const here = await twoImages(t);
  const root = folder(t);
  const archive = await saved(here, join(root, "all.tar"), ["example.com/multi:v1", "example.com/single:v2"]);
  const copy = join(root, "copy.tar");
  run(
    "skopeo",
    "--insecure-policy",
    "copy",
    "--all",
    `oci-archive:${archive}:v1`,
    `oci-archive:${copy}:example.com/copy:1`,
  );
  const there = openTestImages(t);
  assert.deepEqual(await loadFile(there, copy), ["Loaded image: example.com/copy:1\n"]);
  assert.equal(there.images.target("example.com/copy:1").descriptor.digest, digestOf(here.index));
  assert.equal(there.images.get("example.com/copy:1", OTHER).id, here.other.id);
  const raw = run("skopeo", "inspect", "--raw", `oci-archive:${archive}:v1`);
  assert.equal(digestOf(raw), digestOf(here.index));
});

test("skopeo reads each image of a Docker archive, and of an OCI archive the platform it is asked for", {
  skip: missing("skopeo"),
}, async (t) => {
  const here = await twoImages(t);
  const root = folder(t);
  const archive = await saved(here, join(root, "all.tar"), ["example.com/multi:v1", "example.com/single:v2"]);
  assert.deepEqual(JSON.parse(run("skopeo", "inspect", `docker-archive:${archive}:example.com/multi:v1`)).Labels, {
    of: "host",
  });
  assert.equal(
    JSON.parse(run("skopeo", "inspect", `docker-archive:${archive}:example.com/single:v2`)).Layers.length,
    1,
  );
  const other = run(
    "skopeo",
    "--override-arch",
    OTHER.architecture,
    "inspect",
    "--raw",
    "--config",
    `oci-archive:${archive}:v1`,
  );
  assert.equal(digestOf(other), here.other.id);
  const chosen = await saved(here, join(root, "chosen.tar"), ["example.com/multi:v1"], [OTHER]);
  assert.equal(
    digestOf(run("skopeo", "inspect", "--raw", `oci-archive:${chosen}:v1`)),
    digestOf(ociManifest(here.other)),
  );
  assert.equal(
    digestOf(run("skopeo", "inspect", "--raw", "--config", `docker-archive:${chosen}:example.com/multi:v1`)),
    here.other.id,
  );
});

for (const format of ["docker-archive", "oci-archive"] as const)
  test(`podman loads what is saved, and what it saves as ${format} is loaded`, {
    skip: missing("podman"),
  }, async (t) => {
    const here = await twoImages(t);
    const root = folder(t);
    const podman = (...args: readonly string[]) => run("podman", ...storage(root), ...args);
    podman("load", "-i", await saved(here, join(root, "all.tar"), ["example.com/multi:v1", "example.com/single:v2"]));
    assert.equal(podman("inspect", "-f", "{{.Id}}", "example.com/multi:v1").trim(), here.mine.id.slice(7));
    assert.equal(podman("inspect", "-f", "{{.Id}}", "example.com/single:v2").trim(), here.single.id.slice(7));
    const several = format === "docker-archive" ? ["--multi-image-archive"] : [];
    const names = several.length > 0 ? ["example.com/multi:v1", "example.com/single:v2"] : ["example.com/single:v2"];
    podman("save", ...several, "--format", format, "-o", join(root, "podman.tar"), ...names);
    const there = openTestImages(t);
    assert.equal((await loadFile(there, join(root, "podman.tar"))).length, names.length);
    assert.deepEqual((await there.images.inspect("example.com/single:v2")).RootFS.Layers, here.single.diffIds);
    if (several.length > 0)
      assert.deepEqual((await there.images.inspect("example.com/multi:v1")).Config.Labels, { of: "host" });
  });

test("buildah reads what is saved, and a list that it made is loaded with both platforms", {
  skip: missing("buildah"),
}, async (t) => {
  const here = await twoImages(t);
  const root = folder(t);
  const buildah = (...args: readonly string[]) => run("buildah", ...storage(root), ...args);
  const archive = await saved(here, join(root, "all.tar"), ["example.com/multi:v1", "example.com/single:v2"]);
  assert.equal(buildah("pull", "-q", `oci-archive:${archive}:v1`).trim(), here.mine.id.slice(7));
  assert.equal(
    buildah("pull", "-q", `docker-archive:${archive}:example.com/single:v2`).trim(),
    here.single.id.slice(7),
  );
  buildah("manifest", "create", "list");
  buildah("manifest", "add", "--all", "list", `oci-archive:${archive}:v1`);
  const list = join(root, "list.tar");
  buildah("manifest", "push", "--all", "list", `oci-archive:${list}:example.com/list:1`);
  const there = openTestImages(t);
  await loadFile(there, list);
  assert.equal(there.images.get("example.com/list:1").id, here.mine.id);
  assert.equal(there.images.get("example.com/list:1", OTHER).id, here.other.id);
});

test("umoci reads a saved platform, and the image that it makes is loaded", { skip: missing("umoci") }, async (t) => {
  const here = await twoImages(t);
  const root = folder(t);
  const layout = join(root, "layout");
  mkdirSync(layout);
  run("tar", "-xf", await saved(here, join(root, "one.tar"), ["example.com/multi:v1"], [HOST]), "-C", layout);
  assert.match(run("umoci", "stat", "--image", `${layout}:v1`), /LAYER/);
  run("umoci", "config", "--image", `${layout}:v1`, "--tag", "example.com/made:1", "--config.label", "by=umoci");
  run("tar", "-cf", join(root, "made.tar"), "-C", layout, ".");
  const there = openTestImages(t);
  await loadFile(there, join(root, "made.tar"));
  assert.equal((await there.images.inspect("example.com/made:1")).Config.Labels?.by, "umoci");
});
