/** Archives that lie, climb, bomb or break off: each is refused with a clear error and leaves nothing, inside or outside. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "../base/digest.ts";
import { mount, unmount } from "../kernel/mounts.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { openSnapshots } from "./open.ts";
import { layerOf, makeTestRoot, type TestEntry, tarOf } from "./snapshots.fixture.ts";

const REFUSED: Readonly<Record<string, { readonly entries: readonly TestEntry[]; readonly message: RegExp }>> = {
  "a path that climbs out": { entries: [{ path: "../evil", data: "x" }], message: /"\.\.\/evil".*leaves the root/ },
  "a path that climbs out later": { entries: [{ path: "a/../../evil", data: "x" }], message: /leaves the root/ },
  "an absolute path that climbs": { entries: [{ path: "/../evil", data: "x" }], message: /leaves the root/ },
  "a hard link to outside": {
    entries: [{ path: "l", type: "hardlink", linkPath: "../../etc/passwd" }],
    message: /"l".*outside the root/,
  },
  "a hard link to what is not there": {
    entries: [{ path: "l", type: "hardlink", linkPath: "etc/passwd" }],
    message: /not in the layer/,
  },
  "a hard link through a symbolic link": {
    entries: [
      { path: "etc", type: "symlink", linkPath: "/etc" },
      { path: "l", type: "hardlink", linkPath: "etc/passwd" },
    ],
    message: /too many symbolic links|not in the layer/,
  },
  "a hard link to a directory": {
    entries: [
      { path: "d", type: "directory" },
      { path: "l", type: "hardlink", linkPath: "d" },
    ],
    message: /"l"/,
  },
  "a loop of symbolic links": {
    entries: [
      { path: "a", type: "symlink", linkPath: "b" },
      { path: "b", type: "symlink", linkPath: "a" },
      { path: "a/file", data: "x" },
    ],
    message: /too many symbolic links/,
  },
  "a file as a folder": {
    entries: [
      { path: "f", data: "x" },
      { path: "f/g", data: "x" },
    ],
    message: /is no directory/,
  },
  "a root that is a file": {
    entries: [{ path: "./", type: "symlink", linkPath: "/" }],
    message: /root can only be a directory/,
  },
  "a whiteout of the parent": { entries: [{ path: "a/.wh..", data: "" }], message: /whiteout of no name/ },
  "a whiteout of nothing": { entries: [{ path: ".wh.", data: "" }], message: /whiteout of no name/ },
  "a name that is too long": {
    entries: [{ path: "n".repeat(300), data: "x" }],
    message: /cannot unpack layer entry "nnn.*ENAMETOOLONG/,
  },
  "a symbolic link to nothing": {
    entries: [{ path: "s", type: "symlink", linkPath: "" }],
    message: /symbolic link to nothing/,
  },
  "an extended header that is a bomb": {
    entries: [{ path: `${"p/".repeat(800_000)}x` }],
    message: /extended header of \d+ bytes .* too large/,
  },
};

for (const [name, { entries, message }] of Object.entries(REFUSED)) {
  test(`refused: ${name}`, () => refuse(tarOf([{ path: "first", data: "first" }, ...entries]), message));
}

test("refused: an archive that stops anywhere inside an entry", async () => {
  const whole = tarOf([
    { path: "a", data: "x".repeat(700) },
    { path: "n".repeat(150), data: "y" },
  ]);
  for (const length of [100, 513, 1024, 1600, 2048, 2560, 3072 - 1])
    await refuse(whole.subarray(0, length), /truncated tar archive/);
});

test("refused: a wrong checksum, a wrong number, an unknown type", async () => {
  const archive = (change: (block: Buffer) => void) => {
    const bytes = tarOf([{ path: "a", data: "x" }]);
    change(bytes);
    return bytes;
  };
  await refuse(
    archive((block) => block.writeUInt8(0x41, 5)),
    /wrong checksum \(at byte 0\)/,
  );
  await refuse(
    archive((block) => resum(block, () => block.write("zz", 124))),
    /no octal digit/,
  );
  await refuse(
    archive((block) => resum(block, () => block.write("Q", 156))),
    /unsupported tar entry type "Q" of "a"/,
  );
  await refuse(
    archive((block) => resum(block, () => block.fill(0xff, 124, 136))),
    /negative size/,
  );
  await refuse(Buffer.from("this is no archive at all ".repeat(100)), /invalid tar header/);
});

test("refused: compressed data that stops early or is damaged", async () => {
  const archive = tarOf([
    { path: "a", data: Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7919) % 251)) },
  ]);
  const diffId = digestOf(archive);
  for (const compressed of [gzipSync(archive), zstdCompressSync(archive)]) {
    await refuse(compressed.subarray(0, compressed.length - 20), /truncated|damaged/, diffId);
    const damaged = Buffer.from(compressed);
    damaged.fill(0x55, Math.floor(damaged.length / 2), Math.floor(damaged.length / 2) + 40);
    await refuse(damaged, /damaged|has digest|truncated|invalid tar|unsupported tar/, diffId);
  }
});

test("refused: wrong digests of the source and of what was in it", async () => {
  const archive = tarOf([{ path: "a", data: "x" }]);
  await refuse(archive, /unpacked layer has digest/, digestOf("other"));
  await using root = await makeTestRoot("overlay");
  const layer = { ...layerOf(root.path, archive, undefined, true), digest: digestOf("other") };
  await assert.rejects(root.snapshots.unpack([layer]), { kind: "invalid", message: /^layer has digest/ });
});

test("links out of the root are kept as they are, and what goes through them stays inside", async () => {
  await using root = await makeTestRoot("overlay");
  const outside = join(root.path, "outside");
  mkdirSync(outside);
  const layer = layerOf(
    root.path,
    tarOf([
      { path: "out", type: "symlink", linkPath: outside },
      { path: "up", type: "symlink", linkPath: "../../../../../../../.." },
      { path: "out/one", data: "1" },
      { path: `up${outside}/two`, data: "2" },
      { path: "out/.wh.gone" },
      { path: "/absolute", data: "3" },
      { path: "link", type: "symlink", linkPath: `${outside}/three` },
      { path: "link", data: "a file in its place" },
    ]),
  );
  const [stored] = await root.snapshots.unpack([layer]);
  assert.deepEqual(readdirSync(outside), []);
  await root.snapshots.withLayer(stored?.chainId ?? "", async (tree) => {
    assert.deepEqual(readdirSync(join(tree, outside)).sort(), ["gone", "one", "two"]);
    assert.ok(readdirSync(tree).includes("absolute"));
  });
});

test("a full disk is said to be one, and leaves nothing", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "gantry-full-"));
  mkdirSync(join(path, "data"));
  mount({ source: "tmpfs", target: join(path, "data"), type: "tmpfs", data: "size=6m" });
  t.after(() => {
    unmount(join(path, "data"), { detach: true });
    rmSync(path, { recursive: true, force: true });
  });
  const store = openStore(makePaths(join(path, "data"), join(path, "run")));
  const snapshots = await openSnapshots({ store });
  const layer = layerOf(path, tarOf([{ path: "large", data: Buffer.alloc(8 << 20) }]), undefined, true);
  await assert.rejects(snapshots.unpack([layer]), { kind: "unavailable", message: /"large": no space left on device/ });
  await snapshots.close();
  assert.deepEqual(readdirSync(store.paths.snapshots), []);
  store.close();
});

async function refuse(archive: Buffer, message: RegExp, diffId = digestOf(archive)): Promise<void> {
  for (const driver of ["overlay", "copy"] as const) {
    await using root = await makeTestRoot(driver);
    const path = join(root.path, "layer.tar");
    writeFileSync(path, archive);
    await assert.rejects(root.snapshots.unpack([{ diffId, parent: undefined, source: { path } }]), {
      kind: "invalid",
      message,
    });
    assert.deepEqual(root.snapshots.layers(), []);
    await root.snapshots.close();
    assert.deepEqual(readdirSync(root.paths.snapshots), []);
    assert.deepEqual(readdirSync(root.path).sort(), ["data", "layer.tar", "run"]);
  }
}

/** Changes a header block and puts its checksum right again. */
function resum(block: Buffer, change: () => void): void {
  change();
  block.fill(0x20, 148, 156);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}
