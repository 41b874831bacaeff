/** The contract of snapshots.ts, run by both drivers on real mounts. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { chainIdOf } from "../base/chain-id.ts";
import { digestOf } from "../base/digest.ts";
import { isMountPoint } from "../kernel/mounts.ts";
import { getXattr } from "../kernel/xattrs.ts";
import { describeTree, layerOf, makeTestRoot, type TestEntry, tarOf } from "./snapshots.fixture.ts";

const SECOND = 1_000_000_000n;
const BASE: readonly TestEntry[] = [
  { path: "./", type: "directory", mode: 0o711, uid: 7, gid: 8, mtime: 5n * SECOND },
  { path: "bin/", type: "directory", mode: 0o751, uid: 1, gid: 2, mtime: 10n * SECOND + 123n },
  { path: "bin/su", data: "setuid", mode: 0o4755, uid: 3, gid: 4, mtime: 11n * SECOND + 1n },
  { path: "bin/hard", type: "hardlink", linkPath: "bin/su" },
  { path: "bin/soft", type: "symlink", linkPath: "su", uid: 5, gid: 6, mtime: 12n * SECOND },
  {
    path: "bin/ping",
    data: "p",
    mode: 0o755,
    xattrs: new Map([["security.capability", Buffer.from("0100000200200000000000000000000000000000", "hex")]]),
  },
  { path: "dir/", type: "directory", mode: 0o2755, gid: 9, mtime: 13n * SECOND },
  { path: "dir/a", data: "a", mtime: 14n * SECOND },
  { path: "dir/b", data: "b", mtime: 14n * SECOND },
  { path: "null", type: "char", major: 1, minor: 3, mode: 0o666 },
  { path: "pipe", type: "fifo", mode: 0o600 },
  { path: "sda", type: "block", major: 8, minor: 0, mode: 0o660 },
];
const UPPER: readonly TestEntry[] = [
  { path: "dir/.wh.a" },
  { path: "dir/c", data: "c" },
  { path: "bin/.wh..wh..opq" },
  { path: "bin/new", data: "new", mode: 0o755 },
  { path: "null", data: "a file now" },
];

for (const driver of ["overlay", "copy"] as const) {
  describe(`snapshots by ${driver}`, () => {
    /** Two layers unpacked, given out of order of time but lowest first. */
    async function withLayers() {
      const root = await makeTestRoot(driver);
      const base = layerOf(root.path, tarOf(BASE), undefined, true);
      const upper = layerOf(root.path, tarOf(UPPER), base.diffId);
      const [first, second] = await root.snapshots.unpack([base, upper]);
      assert.ok(first && second);
      return { root, snapshots: root.snapshots, base, upper, first, second, target: join(root.path, "mnt") };
    }

    test("a layer has owners, modes, times, links, attributes and devices as the archive says", async () => {
      const { root, snapshots, first } = await withLayers();
      await using _ = root;
      await snapshots.withLayer(first.chainId, async (tree) => {
        const stat = (path: string) => lstatSync(join(tree, path), { bigint: true });
        assert.equal(stat("").mode & 0o7777n, 0o711n);
        assert.deepEqual([stat("").uid, stat("").gid, stat("").mtimeNs], [7n, 8n, 5n * SECOND]);
        assert.equal(stat("bin/su").mode & 0o7777n, 0o4755n);
        assert.deepEqual([stat("bin/su").uid, stat("bin/su").gid, stat("bin/su").mtimeNs], [3n, 4n, 11n * SECOND + 1n]);
        assert.equal(stat("bin/su").ino, stat("bin/hard").ino);
        assert.deepEqual([stat("bin/soft").uid, stat("bin/soft").mtimeNs], [5n, 12n * SECOND]);
        assert.equal(stat("bin").mtimeNs, 10n * SECOND + 123n);
        assert.equal(stat("dir").mode & 0o7777n, 0o2755n);
        assert.equal(stat("dir/a").gid, 0n);
        assert.equal(getXattr(join(tree, "bin/ping"), "security.capability")?.length, 20);
        assert.ok(stat("null").isCharacterDevice() && stat("sda").isBlockDevice() && stat("pipe").isFIFO());
        assert.equal(stat("null").rdev, 0x103n);
      });
    });

    test("a layer on top deletes, hides, replaces and adds, and leaves alone what it only passes through", async () => {
      const { root, snapshots, second } = await withLayers();
      await using _ = root;
      await snapshots.withLayer(second.chainId, async (tree) => {
        assert.deepEqual(readdirSync(tree).sort(), ["bin", "dir", "null", "pipe", "sda"]);
        assert.deepEqual(readdirSync(join(tree, "dir")).sort(), ["b", "c"]);
        assert.deepEqual(readdirSync(join(tree, "bin")), ["new"]);
        assert.equal(readFileSync(join(tree, "null"), "utf8"), "a file now");
        const bin = statSync(join(tree, "bin"));
        assert.deepEqual([bin.mode & 0o7777, bin.uid, bin.gid], [0o751, 1, 2]);
        assert.equal(statSync(join(tree, "dir")).mode & 0o7777, 0o2755);
        assert.deepEqual([statSync(tree).mode & 0o7777, statSync(tree).uid], [0o711, 7]);
      });
    });

    test("a snapshot is mounted, written, told apart from its parent, and gone", async () => {
      const { root, snapshots, second, target } = await withLayers();
      await using _ = root;
      await snapshots.prepare("one", second.chainId);
      await assert.rejects(snapshots.prepare("one", second.chainId), { kind: "conflict" });
      assert.deepEqual(snapshots.keys(), ["one"]);
      await snapshots.mount("one", target);
      await snapshots.mount("one", target);
      assert.equal(statSync(target).mode & 0o7777, 0o711);
      assert.deepEqual(await snapshots.changes("one"), []);
      writeFileSync(join(target, "dir/added"), "12345");
      writeFileSync(join(target, "dir/c"), "changed");
      rmSync(join(target, "dir/b"));
      rmSync(join(target, "bin"), { recursive: true });
      mkdirSync(join(target, "bin"));
      writeFileSync(join(target, "bin/again"), "");
      rmSync(join(target, "pipe"));
      mkdirSync(join(target, "pipe"));
      assert.deepEqual(await snapshots.changes("one"), [
        { Path: "/bin", Kind: 0 },
        { Path: "/bin/again", Kind: 1 },
        { Path: "/bin/new", Kind: 2 },
        { Path: "/dir", Kind: 0 },
        { Path: "/dir/added", Kind: 1 },
        { Path: "/dir/b", Kind: 2 },
        { Path: "/dir/c", Kind: 0 },
        { Path: "/pipe", Kind: 0 },
      ]);
      assert.equal(await snapshots.usage("one"), 12);
      await snapshots.unmount(target);
      await snapshots.unmount(target);
      assert.equal(isMountPoint(target), false);
      await snapshots.remove("one");
      await snapshots.remove("one");
      assert.deepEqual(snapshots.keys(), []);
      await assert.rejects(snapshots.mount("one", target), { kind: "not-found" });
    });

    test("what the engine mounts over is there, and is no change of the container's", async () => {
      await using root = await makeTestRoot(driver);
      const target = join(root.path, "mnt");
      await root.snapshots.prepare("bare", undefined);
      await root.snapshots.mount("bare", target);
      for (const path of ["proc", "sys", "dev", "etc/hosts", "etc/resolv.conf", ".dockerenv"])
        assert.ok(existsSync(join(target, path)), path);
      assert.deepEqual(await root.snapshots.changes("bare"), []);
      writeFileSync(join(target, "etc/own"), "");
      assert.deepEqual(await root.snapshots.changes("bare"), [
        { Path: "/etc", Kind: 0 },
        { Path: "/etc/own", Kind: 1 },
      ]);
    });

    test("a read-only mount takes no writes", async () => {
      const { root, snapshots, first, target } = await withLayers();
      await using _ = root;
      await snapshots.prepare("ro", first.chainId);
      await snapshots.mount("ro", target, { readOnly: true });
      assert.throws(() => writeFileSync(join(target, "x"), ""), { code: "EROFS" });
    });

    test("an ephemeral mount can be mounted again", async () => {
      const { root, snapshots, first, target } = await withLayers();
      await using _ = root;
      await snapshots.prepare("eph", first.chainId);
      for (const text of ["1", "2"]) {
        await snapshots.mount("eph", target, { ephemeral: true });
        writeFileSync(join(target, "file"), text);
        await snapshots.unmount(target);
      }
      await snapshots.mount("eph", target);
      assert.equal(readFileSync(join(target, "file"), "utf8"), "2");
    });

    test("a snapshot's changes become a layer that shows the same tree", async () => {
      const { root, snapshots, second, target } = await withLayers();
      await using _ = root;
      await snapshots.prepare("one", second.chainId);
      await snapshots.mount("one", target);
      mkdirSync(join(target, "deep/er"), { recursive: true });
      writeFileSync(join(target, "deep/er/file"), "x".repeat(600_000));
      chmodSync(join(target, "deep/er/file"), 0o4711);
      utimesSync(join(target, "deep/er/file"), 1000.5, 1000.5);
      symlinkSync("er/file", join(target, "deep/link"));
      rmSync(join(target, "dir"), { recursive: true });
      writeFileSync(join(target, "dir"), "a file");
      rmSync(join(target, "bin/new"));
      const archive = Buffer.concat(await Array.fromAsync(snapshots.diff("one")));
      assert.deepEqual(Buffer.concat(await Array.fromAsync(snapshots.diff("one"))), archive);
      const diffId = digestOf(archive);
      const chainId = chainIdOf(second.chainId, diffId);
      await assert.rejects(snapshots.commit("one", { diffId, chainId: second.chainId }), { kind: "invalid" });
      const layer = await snapshots.commit("one", { diffId, chainId });
      assert.deepEqual([layer.parent, layer.diffId, layer.size], [second.chainId, diffId, 600_006]);
      await snapshots.prepare("two", chainId);
      await snapshots.mount("two", join(root.path, "mnt2"));
      assert.deepEqual(await snapshots.changes("two"), []);
      // The root's own times, and the mount points, which each parent has anew.
      const comparable = (lines: string[]) =>
        lines.filter((line) => !/^\/(?: |\.dockerenv|dev|etc|proc|sys)/.test(line));
      assert.deepEqual(comparable(describeTree(join(root.path, "mnt2"))), comparable(describeTree(target)));
    });

    test("a layer in use is kept, a free one is removed", async () => {
      const { root, snapshots, first, second } = await withLayers();
      await using _ = root;
      await snapshots.prepare("one", second.chainId);
      await assert.rejects(snapshots.removeLayer(second.chainId), { kind: "conflict" });
      await assert.rejects(snapshots.removeLayer(first.chainId), { kind: "conflict" });
      await snapshots.remove("one");
      await snapshots.removeLayer(second.chainId);
      await snapshots.removeLayer(first.chainId);
      await snapshots.removeLayer(first.chainId);
      assert.deepEqual(snapshots.layers(), []);
      await snapshots.close();
      assert.deepEqual(readdirSync(root.paths.snapshots), []);
    });

    test("unpacking the same layers at the same time and again gives one layer each", async () => {
      await using root = await makeTestRoot(driver);
      const base = layerOf(root.path, tarOf(BASE));
      const upper = layerOf(root.path, tarOf(UPPER), base.diffId);
      const results = await Promise.all([1, 2, 3].map(() => root.snapshots.unpack([base, upper])));
      results.push(await root.snapshots.unpack([base, upper]));
      for (const result of results) assert.deepEqual(result, results[0]);
      assert.equal(readdirSync(root.paths.snapshots).length, 2);
    });

    test("a failed layer takes those above it along and leaves nothing", async () => {
      await using root = await makeTestRoot(driver);
      const base = layerOf(root.path, tarOf(BASE));
      const bad = { ...layerOf(root.path, tarOf(UPPER), base.diffId), diffId: digestOf("other") };
      const top = layerOf(root.path, tarOf([{ path: "top", data: "t" }]), chainIdOf(base.diffId, bad.diffId));
      await assert.rejects(root.snapshots.unpack([base, bad, top]), {
        kind: "invalid",
        message: /has digest sha256:.*, expected sha256:/,
      });
      assert.deepEqual(root.snapshots.layers(), []);
      await root.snapshots.close();
      assert.deepEqual(readdirSync(root.paths.snapshots), []);
    });

    test("an abort stops the unpacking and leaves nothing", async () => {
      await using root = await makeTestRoot(driver);
      const large = layerOf(root.path, tarOf([{ path: "large", data: Buffer.alloc(24 << 20) }]));
      const stop = new AbortController();
      const unpacking = root.snapshots.unpack([large], { signal: stop.signal, onProgress: () => stop.abort() });
      await assert.rejects(unpacking, { kind: "cancelled" });
      await root.snapshots.close();
      assert.deepEqual(readdirSync(root.paths.snapshots), []);
    });

    test("one caller's abort is not another's", async () => {
      await using root = await makeTestRoot(driver);
      const large = layerOf(root.path, tarOf([{ path: "large", data: Buffer.alloc(8 << 20) }]));
      const stop = new AbortController();
      const first = root.snapshots.unpack([large], { signal: stop.signal, onProgress: () => stop.abort() });
      const second = root.snapshots.unpack([large]);
      await assert.rejects(first, { kind: "cancelled" });
      assert.equal((await second).length, 1);
      assert.equal(root.snapshots.layers().length, 1);
    });

    test("a start removes what no row names, mounted or not, and keeps the rest", async () => {
      const { root, snapshots, second, target } = await withLayers();
      await using _ = root;
      await snapshots.prepare("kept", second.chainId);
      await snapshots.mount("kept", target);
      writeFileSync(join(target, "file"), "kept");
      mkdirSync(join(root.paths.snapshots, "left/fs/deep"), { recursive: true });
      await root.reopen();
      await root.snapshots.close();
      assert.equal(existsSync(join(root.paths.snapshots, "left")), false);
      assert.equal(readFileSync(join(target, "file"), "utf8"), "kept");
      assert.equal(root.snapshots.layers().length, 2);
      await root.snapshots.mount("kept", target);
    });
  });
}

test("two hundred layers mount as one tree", async () => {
  await using root = await makeTestRoot("overlay");
  const layers = [];
  let parent: string | undefined;
  for (let i = 0; i < 200; i++) {
    const layer = layerOf(root.path, tarOf([{ path: `file-${i}`, data: String(i) }]), parent);
    layers.push(layer);
    parent = chainIdOf(parent, layer.diffId);
  }
  await root.snapshots.unpack(layers);
  await root.snapshots.prepare("deep", parent);
  await root.snapshots.mount("deep", join(root.path, "mnt"));
  assert.equal(readFileSync(join(root.path, "mnt/file-0"), "utf8"), "0");
  assert.equal(readFileSync(join(root.path, "mnt/file-199"), "utf8"), "199");
});

test("a data root keeps to the driver that wrote it", async () => {
  await using root = await makeTestRoot("copy");
  await root.snapshots.unpack([layerOf(root.path, tarOf([{ path: "x" }]))]);
  await root.reopen();
  assert.equal(root.snapshots.driver, "copy");
});
