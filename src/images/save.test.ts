import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { dockerFiles, makeImage, makeTar, ociFiles, ociManifest, streamOf } from "../testing/image-archives.ts";
import { openTestImages } from "../testing/images-harness.ts";
import type { Progress } from "./images.ts";

const bytesOf = async (stream: Readable) => Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>));

for (const compress of [undefined, "gzip", "zstd"] as const)
  test(`saved and loaded elsewhere, an image of ${compress ?? "plain"} layers keeps its id and every byte`, async (t) => {
    const [here, there] = [openTestImages(t), openTestImages(t)];
    const image = await makeImage({ layers: ["a", "b".repeat(500_000), "a"], compress });
    await here.load(dockerFiles([[image, "one:1", "two:2"]]));
    const archive = await bytesOf(await here.images.save(["one:1", "two:2"]));
    assert.deepEqual(await there.load(archive), ["Loaded image: one:1\n", "Loaded image: two:2\n"]);
    assert.equal(there.images.get("two:2").id, image.id);
    assert.deepEqual(there.images.get("one:1").manifest, here.images.get("one:1").manifest);
    assert.deepEqual(there.blobs().sort(), here.blobs().sort());
    assert.deepEqual(await bytesOf(await there.images.save(["one:1", "two:2"])), archive);
    assert.deepEqual(here.published.at(-1)?.action, "save");
  });

test("a manifest that came with an OCI layout is saved as it was", async (t) => {
  const { images, load } = openTestImages(t);
  const image = await makeImage({ compress: "gzip" });
  await load(ociFiles([{ image, annotations: { "org.opencontainers.image.ref.name": "o:1" } }]));
  assert.ok((await bytesOf(await images.save(["o:1"]))).includes(ociManifest(image)));
});

test("a repository means all its tags, an id none, several names one archive", async (t) => {
  const { images, load } = openTestImages(t);
  const [one, two] = [await makeImage({ layers: ["1"] }), await makeImage({ layers: ["2"] })];
  await load(
    dockerFiles([
      [one, "r:1", "other:1"],
      [two, "r:2"],
    ]),
  );
  const names = async (...asked: string[]) => {
    const list = JSON.parse(await entryOf(t, await bytesOf(await images.save(asked)), "manifest.json"));
    return list.map(({ RepoTags }: { RepoTags: string[] | null }) => RepoTags);
  };
  assert.deepEqual(await names("r"), [["r:1"], ["r:2"]]);
  assert.deepEqual(await names("r:2"), [["r:2"]]);
  assert.deepEqual(await names(one.id), [null]);
  assert.deepEqual(await names(one.id.slice(7, 19)), [null]);
  assert.deepEqual(await names("other:1", two.id, "r:1"), [["other:1", "r:1"], null]);
  await assert.rejects(images.save(["nope"]), { kind: "not-found", message: "No such image: nope:latest" });
});

test("what is being saved cannot be removed under it", async (t) => {
  const { images, load, blobs } = openTestImages(t);
  const image = await makeImage({ layers: ["x".repeat(3_000_000)] });
  await load(dockerFiles([[image, "x:1"]]));
  const stream = await images.save(["x:1"]);
  await images.remove("x:1", { force: false, prune: true });
  assert.equal(blobs().length, 3);
  assert.ok((await bytesOf(stream)).length > 3_000_000);
  await images.collect();
  assert.deepEqual(blobs(), []);
});

test("a save that is given up lets go of its blobs", async (t) => {
  const { images, load, blobs } = openTestImages(t);
  await load(dockerFiles([[await makeImage({ layers: ["x".repeat(3_000_000)] }), "x:1"]]));
  const stream = await images.save(["x:1"]);
  stream.destroy();
  await new Promise((resolve) => stream.once("close", resolve));
  await images.remove("x:1", { force: false, prune: true });
  assert.deepEqual(blobs(), []);
});

test("an import makes an image of one layer, with changes, message and platform", async (t) => {
  const { images, published } = openTestImages(t);
  const tar = await makeTar([["bin/sh", "#!"]]);
  const id = await images.import(streamOf(tar), {
    repo: "imported",
    changes: ['CMD ["/bin/sh"]', "ENV A=1"],
    message: "from a test",
    platform: { os: "linux", architecture: "arm", variant: "v7" },
  });
  const shown = await images.inspect("imported:latest");
  assert.equal(shown.Id, id);
  assert.deepEqual([shown.Config.Cmd, shown.Config.Env], [["/bin/sh"], ["A=1"]]);
  assert.deepEqual([shown.Comment, shown.Architecture, shown.Variant], ["from a test", "arm", "v7"]);
  assert.equal(shown.RootFS.Layers?.length, 1);
  assert.deepEqual(
    published.map(({ action }) => action),
    ["import", "tag"],
  );
  assert.equal(images.history(id)[0]?.Comment, "from a test");
});

test("an import can be a URL, and tells how much has come", async (t) => {
  const tar = await makeTar([["file", "x".repeat(100_000)]]);
  const server = createServer((request, response) => {
    if (request.url === "/moved") response.writeHead(302, { Location: "/root.tar" }).end();
    else if (request.url === "/root.tar") response.end(tar);
    else response.writeHead(404).end("no");
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { images, blobs } = openTestImages(t);
  const lines: Progress[] = [];
  const options = { changes: [], onProgress: (line: Progress) => lines.push(line) };
  await assert.rejects(images.import(new URL(`${base}/nope`), options), { kind: "invalid", message: /status 404/ });
  assert.deepEqual(blobs(), []);
  const id = await images.import(new URL(`${base}/moved`), { ...options, repo: "far" });
  assert.equal((await images.inspect("far")).Comment, `Imported from ${base}/moved`);
  assert.equal(images.get("far").id, id);
  assert.equal(lines[1]?.status, `Downloading from ${base}/moved`);
  assert.deepEqual(lines.at(-1)?.progressDetail, { current: tar.length, total: tar.length });
});

test("a refused import leaves nothing", async (t) => {
  const { images, blobs } = openTestImages(t);
  const tar = () => makeTar([["a", "b"]]);
  await assert.rejects(images.import(streamOf(await tar()), { changes: ["RUN x"] }), {
    message: "RUN is not a valid change command",
  });
  await assert.rejects(images.import(streamOf(await tar()), { changes: [], repo: "Foo" }), { kind: "invalid" });
  const broken = streamOf(await tar());
  broken.destroy(new Error("gone"));
  await assert.rejects(images.import(broken, { changes: [] }));
  assert.deepEqual(blobs(), []);
});

test("a commit adds a layer and a step; without changes only a step", async (t) => {
  const { images, load } = openTestImages(t);
  const base = await makeImage({ layers: ["base"] });
  await load(dockerFiles([[base, "base:1"]]));
  const options = {
    parent: images.get("base:1"),
    config: { Cmd: ["run", "it"] },
    createdBy: "what ran",
    containerId: "c",
    author: "me",
    message: "why",
  };
  const id = await images.commit({
    ...options,
    diff: streamOf(await makeTar([["new", "x"]])),
    repo: "made",
    tag: "v1",
  });
  const shown = await images.inspect("made:v1");
  assert.deepEqual([shown.Id, shown.Parent, shown.Author, shown.Comment], [id, base.id, "me", "why"]);
  assert.equal(shown.RootFS.Layers?.length, 2);
  const [step, below] = images.history(id);
  assert.deepEqual([step?.CreatedBy, step?.Comment, step?.Id], ["what ran", "why", id]);
  assert.deepEqual([below?.Id, below?.Tags], [base.id, ["base:1"]]);
  const empty = await images.commit({ ...options, diff: streamOf(Buffer.alloc(1024)) });
  assert.deepEqual((await images.inspect(empty)).RootFS.Layers, base.diffIds);
  assert.equal(images.history(empty)[0]?.Size, 0);
});

async function entryOf(t: TestContext, archive: Buffer, name: string): Promise<string> {
  const file = join(folder(t), "x.tar");
  writeFileSync(file, archive);
  const { stdout, status } = spawnSync("tar", ["-xOf", file, name], { encoding: "utf8" });
  assert.equal(status, 0);
  return stdout;
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "gantry-save-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const missing = (tool: string) =>
  spawnSync(tool, ["--version"]).error === undefined ? false : `${tool} is not installed`;

function run(...[tool = "", ...args]: string[]): string {
  const { stdout, stderr, status } = spawnSync(tool, args, { encoding: "utf8" });
  assert.equal(status, 0, `${tool} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

for (const compress of [undefined, "gzip"] as const) {
  const kind = compress ?? "plain";
  test(`skopeo reads what is saved, as a Docker archive and as an OCI layout (${kind})`, {
    skip: missing("skopeo"),
  }, async (t) => {
    const { images, load } = openTestImages(t);
    const image = await makeImage({ layers: ["a", "b"], compress, config: { Labels: { seen: "yes" } } });
    await load(
      dockerFiles([
        [image, "one:v1"],
        [await makeImage({ layers: ["c"] }), "two:v2"],
      ]),
    );
    const root = folder(t);
    const file = join(root, "saved.tar");
    writeFileSync(file, await bytesOf(await images.save(["one:v1", "two:v2"])));
    for (const source of [`docker-archive:${file}:one:v1`, `oci-archive:${file}:v1`]) {
      assert.equal(JSON.parse(run("skopeo", "inspect", source)).Labels.seen, "yes");
      run("skopeo", "--insecure-policy", "copy", source, `dir:${join(root, source.split(":")[0] ?? "")}`);
    }
    const back = join(root, "back.tar");
    run("skopeo", "--insecure-policy", "copy", `oci-archive:${file}:v1`, `docker-archive:${back}:back:1`);
    await load(readFileSync(back));
    assert.deepEqual((await images.inspect("back:1")).RootFS.Layers, image.diffIds);
    const layout = join(root, "layout.tar");
    run(
      "skopeo",
      "--insecure-policy",
      "copy",
      `docker-archive:${file}:one:v1`,
      `oci-archive:${layout}:example.com/layout:1`,
    );
    await load(readFileSync(layout));
    assert.deepEqual((await images.inspect("example.com/layout:1")).RootFS.Layers, image.diffIds);
  });

  test(`umoci unpacks what is saved (${kind})`, { skip: missing("umoci") }, async (t) => {
    const { images, load } = openTestImages(t);
    await load(dockerFiles([[await makeImage({ layers: ["from a", "from b"], compress }), "one:v1"]]));
    const root = folder(t);
    writeFileSync(join(root, "saved.tar"), await bytesOf(await images.save(["one:v1"])));
    run("mkdir", join(root, "layout"));
    run("tar", "-xf", join(root, "saved.tar"), "-C", join(root, "layout"));
    run("umoci", "unpack", "--rootless", "--image", `${join(root, "layout")}:v1`, join(root, "bundle"));
    assert.equal(readFileSync(join(root, "bundle/rootfs/file1"), "utf8"), "from b");
  });
}
