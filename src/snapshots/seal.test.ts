/** Writable trees that become layers without being copied, by both drivers on real mounts. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { chainIdOf } from "../base/chain-id.ts";
import { digestOf } from "../base/digest.ts";
import type { TarHeader } from "../base/tar/tar.ts";
import { LayerBuilder } from "./layer-builder.ts";
import { describeTree, layerOf, makeTestRoot, tarOf } from "./snapshots.fixture.ts";

const BASE = tarOf([
  { path: "etc/", type: "directory" },
  { path: "usr/", type: "directory", mode: 0o711, mtime: 5_000_000_000n },
  { path: "usr/bin/", type: "directory", mode: 0o750, uid: 3, mtime: 6_000_000_000n },
  { path: "usr/bin/old", data: "old" },
  { path: "gone", data: "x" },
]);

for (const driver of ["overlay", "copy"] as const) {
  describe(`sealing by ${driver}`, () => {
    async function withBase() {
      const root = await makeTestRoot(driver);
      const [base] = await root.snapshots.unpack([layerOf(root.path, BASE)]);
      assert.ok(base);
      return { root, snapshots: root.snapshots, base, tar: join(root.path, "layer.tar"), mnt: join(root.path, "mnt") };
    }

    test("a written tree becomes the layer that its diff describes", async () => {
      const { root, snapshots, base, tar, mnt } = await withBase();
      await using _ = root;
      await snapshots.prepare("one", base.chainId);
      await snapshots.mount("one", mnt, { ephemeral: true });
      writeFileSync(join(mnt, "usr/bin/new"), "new");
      rmSync(join(mnt, "gone"));
      mkdirSync(join(mnt, "deep/er"), { recursive: true });
      const seen = describeTree(mnt);
      await snapshots.unmount(mnt);
      const expected = Buffer.concat(await Array.fromAsync(snapshots.diff("one")));
      const sealed = await snapshots.seal("one", { tar });
      assert.deepEqual(readFileSync(tar), expected);
      assert.equal(sealed?.diffId, digestOf(expected));
      assert.equal(sealed.chainId, chainIdOf(base.chainId, sealed.diffId));
      assert.deepEqual([sealed.size, sealed.tarSize, snapshots.keys()], [3, expected.length, []]);
      const mountPoints = /^\/(?:\.dockerenv|dev|proc|sys|etc)/;
      const shown = await snapshots.withLayer(sealed.chainId, async (tree) => describeTree(tree));
      const comparable = (lines: string[]) => lines.filter((line) => !mountPoints.test(line) && !line.startsWith("/ "));
      assert.deepEqual(comparable(shown), comparable(seen));
      await root.reopen();
      assert.ok(root.snapshots.layer(sealed.chainId));
    });

    test("a tree without changes becomes nothing", async () => {
      const { root, snapshots, base, tar } = await withBase();
      await using _ = root;
      await snapshots.prepare("one", base.chainId);
      assert.equal(await snapshots.seal("one", { tar }), undefined);
      assert.deepEqual([existsSync(tar), snapshots.keys()], [false, []]);
    });

    test("times are no later than asked for", async () => {
      const { root, snapshots, base, tar, mnt } = await withBase();
      await using _ = root;
      await snapshots.prepare("one", base.chainId);
      await snapshots.mount("one", mnt);
      writeFileSync(join(mnt, "usr/file"), "new");
      await snapshots.unmount(mnt);
      const sealed = await snapshots.seal("one", { tar, latest: 1_000_000_000n });
      assert.ok(sealed);
      await snapshots.withLayer(sealed.chainId, async (tree) => {
        assert.equal(statSync(join(tree, "usr/file")).mtimeMs, 1000);
      });
    });

    test("a built layer is what unpacking its tar gives", async () => {
      const { root, snapshots, base, tar } = await withBase();
      await using _ = root;
      await snapshots.prepare("one", base.chainId);
      const builder = new LayerBuilder(snapshots.workplace("one"), tar);
      builder.entry(header({ path: "usr/bin/tool", mode: 0o755, size: 4, uid: 7 }));
      builder.data(Buffer.from("tool"), 0);
      builder.end();
      builder.entry(header({ path: "usr/link", type: "symlink", linkPath: "bin/tool", mode: 0o777 }));
      builder.end();
      const built = builder.finish();
      // The copy driver's folders that no entry describes were written to.
      const times = driver === "overlay";
      assert.deepEqual([built.entries, built.size, built.diffId], [2, 4, digestOf(readFileSync(tar))]);
      const sealed = await snapshots.seal("one", { built });
      assert.ok(sealed);
      const shown = await snapshots.withLayer(sealed.chainId, async (tree) => describeTree(tree, { times }));
      await snapshots.removeLayer(sealed.chainId);
      await snapshots.unpack([{ diffId: built.diffId, parent: base.chainId, source: { path: tar } }]);
      const unpacked = await snapshots.withLayer(sealed.chainId, async (tree) => describeTree(tree, { times }));
      const comparable = (lines: string[]) => lines.filter((line) => /^\/(?:usr|gone)/.test(line));
      assert.deepEqual(comparable(shown), comparable(unpacked));
      assert.match(comparable(shown).join("\n"), /^\/usr\/bin 40750 3:0/m);
    });

    test("two equal trees become one layer", async () => {
      const { root, snapshots, base, tar } = await withBase();
      await using _ = root;
      const chains = [];
      for (const key of ["one", "two"]) {
        await snapshots.prepare(key, base.chainId);
        const builder = new LayerBuilder(snapshots.workplace(key), `${tar}${key}`);
        builder.entry(header({ path: "same", size: 0 }));
        builder.end();
        chains.push((await snapshots.seal(key, { built: builder.finish() }))?.chainId);
      }
      assert.equal(chains[0], chains[1]);
      assert.equal(snapshots.layers().length, 2);
    });
  });
}

function header(given: Partial<TarHeader> & { readonly path: string }): TarHeader {
  return {
    type: "file",
    rawPath: undefined,
    linkPath: "",
    rawLinkPath: undefined,
    mode: 0o644,
    uid: 0,
    gid: 0,
    userName: "",
    groupName: "",
    size: 0,
    mtime: 42_000_000_000n,
    atime: undefined,
    major: 0,
    minor: 0,
    xattrs: new Map(),
    sparse: undefined,
    ...given,
  };
}
