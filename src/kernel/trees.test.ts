import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { mount, unmount } from "./mounts.ts";
import { removeTree, syncFileSystem, treeUsage } from "./trees.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "gantry-trees-"));
  t.after(() => execFileSync("rm", ["-rf", path]));
  return path;
}

/** Files of several sizes, a sparse one, two names of one, links and folders. */
function fill(root: string): number {
  let bytes = 0;
  for (let at = 0; at < 40; at++) {
    const size = (at * 977) % 20_000;
    mkdirSync(join(root, `d${at % 7}`, "sub"), { recursive: true });
    writeFileSync(join(root, `d${at % 7}`, `f${at}`), Buffer.alloc(size, 1));
    bytes += size;
  }
  writeFileSync(join(root, "sparse"), "");
  truncateSync(join(root, "sparse"), 5 << 20);
  linkSync(join(root, "d1/f1"), join(root, "again"));
  symlinkSync("/", join(root, "way-out"));
  return bytes + (5 << 20) + 1;
}

test("what a tree takes is what du says", async (t) => {
  const root = folder(t);
  const bytes = fill(root);
  const usage = await treeUsage(root);
  assert.equal(usage.allocated, Number(execFileSync("du", ["-s", "-B1", root], { encoding: "utf8" }).split("\t")[0]));
  assert.equal(usage.bytes, bytes);
  await assert.rejects(treeUsage(join(root, "nope")), { code: "ENOENT" });
  await assert.rejects(treeUsage(join(root, "way-out")), { code: "ENOTDIR" });
});

test("a tree is removed, and nothing that its links lead to", async (t) => {
  const root = folder(t);
  const tree = join(root, "tree");
  mkdirSync(tree);
  fill(tree);
  mkdirSync(join(root, "kept"));
  writeFileSync(join(root, "kept/file"), "x");
  symlinkSync(join(root, "kept"), join(tree, "link"));
  await removeTree(tree);
  assert.equal(existsSync(tree), false);
  assert.ok(existsSync(join(root, "kept/file")));
  await removeTree(tree);
  symlinkSync(join(root, "kept"), tree);
  await removeTree(tree);
  assert.throws(() => lstatSync(tree), { code: "ENOENT" });
  assert.ok(existsSync(join(root, "kept/file")));
});

test("a tree deeper than any path can say is counted as far as it goes, and removed", async (t) => {
  const root = folder(t);
  // Built from the bottom: each step puts what there is into a new folder.
  let top = join(root, "0");
  mkdirSync(top);
  writeFileSync(join(top, "bottom"), "x");
  for (let depth = 1; depth < 1500; depth++) {
    const above = join(root, `${depth}`);
    mkdirSync(above);
    renameSync(top, join(above, "a-folder"));
    top = above;
  }
  assert.ok((await treeUsage(top)).entries >= 512);
  await removeTree(top);
  assert.equal(existsSync(top), false);
});

test("what is mounted inside a tree is neither counted nor removed", {
  skip: process.getuid?.() === 0 ? false : "needs root",
}, async (t) => {
  const root = folder(t);
  const inside = join(root, "tree/inside");
  mkdirSync(inside, { recursive: true });
  mount({ source: "tmpfs", target: inside, type: "tmpfs", data: "size=1m" });
  try {
    writeFileSync(join(inside, "file"), Buffer.alloc(100_000));
    assert.equal((await treeUsage(root)).bytes, 0);
    await assert.rejects(removeTree(join(root, "tree")), { code: "EBUSY" });
    assert.ok(existsSync(join(inside, "file")));
  } finally {
    unmount(inside, { detach: true });
  }
});

test("the event loop goes on while thousands of files are removed", async (t) => {
  const root = folder(t);
  for (let at = 0; at < 20_000; at++) {
    if (at % 500 === 0) mkdirSync(join(root, `d${at / 500}`));
    writeFileSync(join(root, `d${Math.floor(at / 500)}`, `f${at}`), "");
  }
  const started = performance.now();
  let done = false;
  const removal = removeTree(root).finally(() => {
    done = true;
  });
  let longest = 0;
  for (let last = started; !done; ) {
    await turn();
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  await removal;
  const total = performance.now() - started;
  t.diagnostic(`removed in ${total.toFixed(0)} ms, longest pause ${longest.toFixed(1)} ms`);
  assert.ok(longest < total / 2);
  rmSync(root, { recursive: true, force: true });
});

test("a file system is synced", async (t) => {
  const root = folder(t);
  writeFileSync(join(root, "file"), "x");
  await syncFileSystem(root);
  await assert.rejects(syncFileSystem(join(root, "nope")), { code: "ENOENT" });
});
