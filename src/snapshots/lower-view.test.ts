import assert from "node:assert/strict";
import { test } from "node:test";
import type { TarInput } from "../base/tar/tar.ts";
import { MountedView, StackView } from "./lower-view.ts";
import { layerOf, makeTestRoot, tarOf } from "./snapshots.fixture.ts";

const folder = (path: string): TarInput => ({ path: `${path}/`, type: "directory" });
const LAYERS: readonly (readonly (TarInput & { data?: string })[])[] = [
  [
    folder("a"),
    { path: "a/1" },
    { path: "a/2" },
    folder("b"),
    { path: "b/x" },
    folder("c"),
    folder("c/d"),
    { path: "c/d/e" },
    { path: "f" },
  ],
  [{ path: "a/.wh.1" }, { path: "a/3" }, { path: "b/.wh..wh..opq" }, { path: "b/y", mode: 0o600 }, { path: ".wh.f" }],
  [
    { path: ".wh.c" },
    folder("f"),
    { path: "f/g" },
    { path: "a/2", data: "new" },
    { path: Buffer.from("a/\xff", "latin1") },
  ],
  [folder("c"), { path: "c/again" }, { path: "b", type: "symlink", linkPath: "a" }],
];

test("layers looked up one by one show what they show mounted", async () => {
  await using root = await makeTestRoot("overlay");
  const { snapshots } = root;
  const inputs: ReturnType<typeof layerOf>[] = [];
  for (const entries of LAYERS) {
    const parent = inputs.length === 0 ? undefined : (await snapshots.unpack(inputs)).at(-1)?.chainId;
    inputs.push(layerOf(root.path, tarOf(entries), parent));
  }
  const chain = await snapshots.unpack(inputs);
  for (const layer of chain.slice(1)) {
    await snapshots.prepare(layer.chainId, layer.chainId);
    const stack = new StackView(snapshots.workplace(layer.chainId).below);
    await snapshots.withLayer(layer.chainId, async (mounted) => {
      const whole = new MountedView(mounted);
      const walk = (path: string): void => {
        const names = whole.names(path);
        assert.deepEqual(stack.names(path), names, path);
        for (const name of names) {
          const child = `${path}/${name}`;
          const [one, other] = [stack.stat(child), whole.stat(child)];
          assert.deepEqual([one?.mode, one?.size, one?.mtimeNs], [other?.mode, other?.size, other?.mtimeNs], child);
          if (other?.isDirectory()) walk(child);
        }
      };
      walk("");
      for (const path of ["/f", "/c/d", "/c/d/e", "/a/1", "/b/x", "/none"])
        assert.equal(stack.stat(path) === undefined, whole.stat(path) === undefined, path);
    });
  }
});
