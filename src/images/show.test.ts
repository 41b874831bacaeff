import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf } from "../base/digest.ts";
import type { Content } from "../content/content.ts";
import { dockerFiles, makeImage, makeTar, ociFiles, ociManifest, streamOf } from "../testing/image-archives.ts";
import { openTestImages } from "../testing/images-harness.ts";
import type { Filters, Images, Target } from "./images.ts";

const list = (
  images: Images,
  filters: Filters = {},
  more: { all?: boolean; sharedSize?: boolean; manifests?: boolean } = {},
) => images.list({ all: false, sharedSize: false, digests: false, manifests: false, ...more, filters });

const tags = async (images: Images, filters: Filters, all = false) =>
  (await list(images, filters, { all })).map(({ RepoTags }) => RepoTags.join());

/** Bytes on the disk of what a target has in content; its layers are counted as the tests' snapshots do. */
const stored = (content: Content, { parts }: Target) =>
  parts.flatMap(({ blobs }) => blobs).reduce((sum, digest) => sum + (content.info(digest)?.allocated ?? 0), 0);

test("the list has Docker's fields, newest first", async (t) => {
  const { images, load, uses, content } = openTestImages(t);
  const old = await makeImage({ layers: ["s", "old"], file: { created: "2020-01-01T00:00:00Z" } });
  const young = await makeImage({
    layers: ["s", "young"],
    config: { Labels: { a: "b" } },
    file: { created: "2021-01-01T00:00:00.999Z" },
  });
  await load(
    dockerFiles([
      [old, "old:1"],
      [young, "young:1"],
    ]),
  );
  uses.push({ containerId: "1".repeat(64), imageId: young.id, running: false });
  const [first, second] = await list(images, {}, { sharedSize: true, manifests: true });
  const layer = young.layers[0]?.length ?? 0;
  assert.deepEqual(
    { ...first, Manifests: undefined, Descriptor: undefined },
    {
      Id: young.id,
      ParentId: "",
      RepoTags: ["young:1"],
      RepoDigests: [],
      Created: Date.parse("2021-01-01T00:00:00Z") / 1000,
      Size: 2 * layer + stored(content, images.target(young.id)),
      SharedSize: layer + (content.info(young.diffIds[0] ?? "")?.allocated ?? 0),
      Labels: { a: "b" },
      Containers: 1,
      Manifests: undefined,
      Descriptor: undefined,
    },
  );
  assert.deepEqual(first?.Manifests[0]?.ImageData?.Containers, ["1".repeat(64)]);
  assert.equal(second?.Id, old.id);
  assert.equal((await list(images))[0]?.SharedSize, -1);
});

test("filters of the list", async (t) => {
  const { images, load } = openTestImages(t);
  const at = (year: number, labels = {}) =>
    makeImage({ layers: [`${year}`], config: { Labels: labels }, file: { created: `${year}-06-01T00:00:00Z` } });
  const [a, b, c, d] = [await at(2001, { k: "v", l: "" }), await at(2002, { k: "w" }), await at(2003), await at(2004)];
  await load(dockerFiles([[a, "app:glibc", "other:1"], [b, "app:uclibc"], [c, "example.com/app:1"], [d]]));
  assert.deepEqual(await tags(images, {}), ["", "example.com/app:1", "app:uclibc", "app:glibc,other:1"]);
  assert.deepEqual(await tags(images, { dangling: ["true"] }), [""]);
  assert.deepEqual(await tags(images, { dangling: ["false"] }), [
    "example.com/app:1",
    "app:uclibc",
    "app:glibc,other:1",
  ]);
  assert.deepEqual(await tags(images, { label: ["k"] }), ["app:uclibc", "app:glibc,other:1"]);
  assert.deepEqual(await tags(images, { label: ["k=v"] }), ["app:glibc,other:1"]);
  assert.deepEqual(await tags(images, { label: ["k=v", "l"] }), ["app:glibc,other:1"]);
  assert.deepEqual(await tags(images, { label: ["k", "nope"] }), []);
  assert.deepEqual(await tags(images, { before: ["example.com/app:1"] }), ["app:uclibc", "app:glibc,other:1"]);
  assert.deepEqual(await tags(images, { since: ["app:uclibc"], before: [d.id] }), ["example.com/app:1"]);
  assert.deepEqual(await tags(images, { until: ["2002-01-01"] }), ["app:glibc,other:1"]);
  assert.deepEqual(await tags(images, { until: [`${Date.parse("2002-01-01T00:00:00Z") / 1000}`] }), [
    "app:glibc,other:1",
  ]);
  assert.deepEqual(await tags(images, { reference: ["app"] }), ["app:uclibc", "app:glibc"]);
  assert.deepEqual(await tags(images, { reference: ["a*:*libc"] }), ["app:uclibc", "app:glibc"]);
  assert.deepEqual(await tags(images, { reference: ["app:glibc", "app:uclibc"] }), ["app:uclibc", "app:glibc"]);
  assert.deepEqual(await tags(images, { reference: ["*/app"] }), ["example.com/app:1"]);
  assert.deepEqual(await tags(images, { reference: ["ap"] }), []);
  await assert.rejects(list(images, { reference: ["["] }), { kind: "invalid", message: "syntax error in pattern" });
  await assert.rejects(list(images, { dangling: ["maybe"] }), { kind: "invalid" });
  await assert.rejects(list(images, { before: ["nope"] }), {
    kind: "not-found",
    message: "No such image: nope:latest",
  });
  await assert.rejects(list(images, { what: ["x"] }), { kind: "invalid", message: "invalid filter 'what'" });
});

test("intermediate images are listed only when all are asked for", async (t) => {
  const { images, load } = openTestImages(t);
  const base = await makeImage();
  await load(dockerFiles([[base]]));
  await images.commit({
    parent: images.get(base.id),
    diff: streamOf(await makeTar([["x", "y"]])),
    config: {},
    createdBy: "",
    containerId: "c",
    repo: "child",
  });
  assert.deepEqual(await tags(images, {}), ["child:latest"]);
  assert.deepEqual(await tags(images, {}, true), ["child:latest", ""]);
});

test("inspect has Docker's fields", async (t) => {
  const { images, load, content } = openTestImages(t);
  const image = await makeImage({
    layers: ["a"],
    config: { Labels: { a: "b" }, ExposedPorts: { "80/tcp": {} } },
    file: { author: "someone", variant: "v2", docker_version: "1", history: [{ comment: "last" }] },
  });
  await load(ociFiles([{ image, annotations: { "io.containerd.image.name": "docker.io/library/i:1" } }]));
  const { Metadata, Descriptor, ...shown } = await images.inspect("i:1");
  const manifest = ociManifest(image);
  const { os, architecture } = JSON.parse(image.config.toString());
  assert.deepEqual(shown, {
    Id: image.id,
    RepoTags: ["i:1"],
    RepoDigests: [`i@${digestOf(manifest)}`],
    Parent: "",
    Comment: "last",
    Created: "2024-05-06T07:08:09.5Z",
    DockerVersion: "1",
    Author: "someone",
    Config: {
      Env: ["PATH=/bin"],
      Cmd: ["sh"],
      Labels: { a: "b" },
      ExposedPorts: { "80/tcp": {} },
      Entrypoint: null,
      OnBuild: null,
      Volumes: null,
      User: "",
      WorkingDir: "",
    },
    Architecture: architecture,
    Variant: "v2",
    Os: os,
    Size: (image.layers[0]?.length ?? 0) + stored(content, images.target(image.id)),
    GraphDriver: { Name: "overlay2", Data: {} },
    RootFS: { Type: "layers", Layers: image.diffIds },
  });
  assert.equal(Descriptor?.digest, digestOf(manifest));
  assert.ok(Date.parse(Metadata.LastTagTime ?? "") > Date.parse("2024-01-01"));
});

test("history begins with the image's id and tags; the steps below are missing", async (t) => {
  const { images, load } = openTestImages(t);
  const image = await makeImage({
    layers: ["a", "b"],
    file: {
      history: [
        { created: "2020-01-01T00:00:00Z", created_by: "ADD a" },
        { created_by: "ENV x", empty_layer: true },
        { created_by: "ADD b", comment: "c" },
      ],
    },
  });
  await load(dockerFiles([[image, "h:1", "h:2"]]));
  const size = image.layers[0]?.length;
  assert.deepEqual(images.history("h:1"), [
    { Id: image.id, Created: 0, CreatedBy: "ADD b", Tags: ["h:1", "h:2"], Size: size, Comment: "c" },
    { Id: "<missing>", Created: 0, CreatedBy: "ENV x", Tags: [], Size: 0, Comment: "" },
    { Id: "<missing>", Created: 1577836800, CreatedBy: "ADD a", Tags: [], Size: size, Comment: "" },
  ]);
});

test("a tag is one more name, moves when it exists, and is validated with Docker's texts", async (t) => {
  const { images, load, published } = openTestImages(t);
  const [one, two] = [await makeImage({ layers: ["1"] }), await makeImage({ layers: ["2"] })];
  await load(
    dockerFiles([
      [one, "one:1"],
      [two, "two:1"],
    ]),
  );
  images.tag("one:1", "new", "");
  images.tag(two.id.slice(7, 19), "example.com:5000/n", "v");
  images.tag("two:1", "one:1", "");
  assert.equal(images.get("new:latest").id, one.id);
  assert.equal(images.get("example.com:5000/n:v").id, two.id);
  assert.equal(images.get("one:1").id, two.id);
  assert.deepEqual(published.at(-3), { type: "image", action: "tag", id: one.id, attributes: { name: "new:latest" } });
  const refuse = (repo: string, tag: string, message: string) =>
    assert.throws(() => images.tag("one:1", repo, tag), { kind: "invalid", message });
  refuse("Foo", "", "invalid reference format: repository name (library/Foo) must be lowercase");
  refuse("a b", "", "invalid reference format");
  refuse(`a@${one.id}`, "", "refusing to create a tag with a digest reference");
  assert.throws(() => images.tag("nope", "a", ""), { kind: "not-found", message: "No such image: nope:latest" });
});

test("a look-up records the image's use, and survives a restart", async (t) => {
  const { images, load, store } = openTestImages(t);
  const image = await makeImage();
  await load(dockerFiles([[image, "u:1"]]));
  const used = () => store.get<{ used_at: string | null }>("SELECT used_at FROM images")?.used_at;
  assert.equal(used(), null);
  images.get("u:1");
  assert.ok(Date.parse(used() ?? "") > 0);
});
