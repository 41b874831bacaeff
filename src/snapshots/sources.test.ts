/** Compressed and odd sources of layers. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "../base/digest.ts";
import { layerOf, makeTestRoot, tarOf } from "./snapshots.fixture.ts";

const ARCHIVE = tarOf([
  { path: "a", data: "a".repeat(5000) },
  { path: "b", data: "b".repeat(700_000) },
]);
const HALVES = [ARCHIVE.subarray(0, 300_000), ARCHIVE.subarray(300_000)];
const SKIPPABLE = Buffer.from("502a4d180400000061626364", "hex");

const SOURCES: Readonly<Record<string, Buffer>> = {
  plain: ARCHIVE,
  gzip: gzipSync(ARCHIVE),
  "gzip in several members": Buffer.concat(HALVES.map((half) => gzipSync(half))),
  "gzip with zeros after it": Buffer.concat([gzipSync(ARCHIVE), Buffer.alloc(3000)]),
  zstd: zstdCompressSync(ARCHIVE),
  "zstd in several frames": Buffer.concat(HALVES.map((half) => zstdCompressSync(half))),
  "zstd after and before skippable frames": Buffer.concat([SKIPPABLE, zstdCompressSync(ARCHIVE), SKIPPABLE]),
};

for (const [name, source] of Object.entries(SOURCES)) {
  test(`a layer is unpacked from ${name}, also out of the middle of a file`, async () => {
    await using root = await makeTestRoot("overlay");
    const path = join(root.path, "source");
    writeFileSync(path, Buffer.concat([Buffer.alloc(512), source, Buffer.alloc(100, 1)]));
    const input = {
      diffId: digestOf(ARCHIVE),
      digest: digestOf(source),
      parent: undefined,
      source: { path, offset: 512, length: source.length },
    };
    const [layer] = await root.snapshots.unpack([input]);
    assert.equal(layer?.size, 705_000);
    await root.snapshots.withLayer(input.diffId, async (tree) => {
      assert.equal(readFileSync(join(tree, "a"), "utf8"), "a".repeat(5000));
      assert.equal(readFileSync(join(tree, "b"), "utf8"), "b".repeat(700_000));
    });
  });
}

test("names that are no UTF-8 keep their bytes, in folders and links too, and come out of a diff again", async () => {
  await using root = await makeTestRoot("overlay");
  const folder = Buffer.from([0x64, 0xff]);
  const file = Buffer.from([0x64, 0xff, 0x2f, 0x66, 0xfe]);
  const archive = tarOf([
    { path: folder, type: "directory", mode: 0o700, mtime: 5_000_000_000n },
    { path: file, data: "x" },
    { path: "link", type: "symlink", linkPath: file },
    { path: "hard", type: "hardlink", linkPath: file },
  ]);
  const [layer] = await root.snapshots.unpack([layerOf(root.path, archive)]);
  await root.snapshots.withLayer(layer?.chainId ?? "", async (tree) => {
    const names = readdirSync(tree, { encoding: "latin1" }).sort();
    assert.deepEqual(names, ["d\xff", "hard", "link"]);
    const path = Buffer.concat([Buffer.from(`${tree}/`), file]);
    assert.equal(readFileSync(path, "utf8"), "x");
    assert.equal(readFileSync(join(tree, "link"), "utf8"), "x");
  });
  await root.snapshots.prepare("one", layer?.chainId);
  await root.snapshots.mount("one", join(root.path, "mnt"));
  writeFileSync(Buffer.concat([Buffer.from(`${root.path}/mnt/`), file]), "changed");
  const diff = Buffer.concat(await Array.fromAsync(root.snapshots.diff("one")));
  assert.ok(diff.includes(file));
});

test("times that no file system can hold are brought into range", async () => {
  await using root = await makeTestRoot("overlay");
  const archive = tarOf([
    { path: "future", data: "x", mtime: 10n ** 22n },
    { path: "past", type: "directory", mtime: -(10n ** 22n) },
  ]);
  assert.equal((await root.snapshots.unpack([layerOf(root.path, archive)])).length, 1);
});
