import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeFolders } from "./folders.ts";

test("missing folders are made, those that are there stay, and what is in the way is said", (t) => {
  const root = mkdtempSync(join(tmpdir(), "gantry-folders-"));
  t.after(() => rmSync(root, { recursive: true }));
  makeFolders(join(root, "a/b/c"), 0o700);
  assert.equal(statSync(join(root, "a/b")).mode & 0o777, 0o700);
  makeFolders(join(root, "a/b/c/"));
  makeFolders(join(root, "a/../d/./e"));
  assert.ok(statSync(join(root, "d/e")).isDirectory());
  writeFileSync(join(root, "file"), "");
  symlinkSync("nowhere", join(root, "dangling"));
  for (const [path, code] of [
    ["file", "EEXIST"],
    ["file/below", "ENOTDIR"],
    ["dangling", "EEXIST"],
  ] as const)
    assert.throws(() => makeFolders(join(root, path)), { code });
});

test("a file system that has no room for folders is an error, and not an endless loop", () => {
  assert.throws(() => makeFolders("/proc/gantry-nothing/below"), { code: "ENOENT" });
});
