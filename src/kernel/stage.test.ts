import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { mountTable } from "./mounts.ts";
import { fdPath, openIn } from "./rooted.ts";
import { withStage } from "./stage.ts";

const skip = process.getuid?.() !== 0 && "needs root";

function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "gantry-stage-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["root/data", "root/deep/er", "one", "two"]) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, "root/file"), "the root's");
  writeFileSync(join(folder, "one/in"), "one");
  writeFileSync(join(folder, "two/in"), "two");
  return folder;
}

test("folders and files are mounted for the work alone, where links inside the root lead", { skip }, async (t) => {
  const folder = setUp(t);
  symlinkSync("/deep", join(folder, "root/link"));
  const before = mountTable().length;
  const mounts = [
    { source: join(folder, "one"), target: "/data", readOnly: false },
    { source: join(folder, "two"), target: "/link/er", readOnly: true },
    { source: join(folder, "two/in"), target: "file", readOnly: false },
  ];
  await withStage(join(folder, "root"), mounts, async (root) => {
    const read = (path: string) => readFileSync(openIn(root, path, { flags: 0 }), "utf8");
    assert.deepEqual([read("/data/in"), read("deep/er/in"), read("/file")], ["one", "two", "two"]);
    writeFileSync(`${fdPath(openIn(root, "data", { flags: 0 }))}/new`, "written");
    assert.throws(() => writeFileSync(`${fdPath(openIn(root, "deep/er", { flags: 0 }))}/new`, ""), { code: "EROFS" });
    assert.equal(mountTable().length, before);
    assert.deepEqual(readdirSync(join(folder, "root/data")), []);
  });
  assert.equal(readFileSync(join(folder, "one/new"), "utf8"), "written");
  assert.equal(mountTable().length, before);
});

test("what is missing is an error that says what", { skip }, async (t) => {
  const folder = setUp(t);
  const staged = (target: string, source = join(folder, "one")) =>
    withStage(join(folder, "root"), [{ source, target, readOnly: false }], async () => {});
  await assert.rejects(staged("/data", join(folder, "none")), { code: "ENOENT", syscall: "mount" });
  await assert.rejects(staged("/file"), { code: "ENOTDIR" });
  await assert.rejects(
    withStage(join(folder, "none"), [], async () => {}),
    { code: "ENOENT" },
  );
});

test("places that are missing are made, also in what was mounted before", { skip }, async (t) => {
  const folder = setUp(t);
  const mounts = [
    { source: join(folder, "one"), target: "/new/place", readOnly: false },
    { source: join(folder, "two"), target: "/new/place/below/it", readOnly: false },
    { source: join(folder, "two/in"), target: "/etc/conf.d/file", readOnly: true },
  ];
  await withStage(join(folder, "root"), mounts, async (root) => {
    const read = (path: string) => readFileSync(openIn(root, path, { flags: 0 }), "utf8");
    assert.deepEqual(["/new/place/in", "/new/place/below/it/in", "/etc/conf.d/file"].map(read), ["one", "two", "two"]);
  });
  assert.deepEqual(readdirSync(join(folder, "one")).sort(), ["below", "in"]);
  assert.deepEqual(readdirSync(join(folder, "root/new/place")), []);
});

test("many at once do not disturb each other, nor work that fails", { skip }, async (t) => {
  const folder = setUp(t);
  const mounts = [{ source: join(folder, "one"), target: "/data", readOnly: true }];
  const all = Array.from({ length: 20 }, (_, i) =>
    withStage(join(folder, "root"), mounts, async (root) => {
      await new Promise((resolve) => setTimeout(resolve, i % 5));
      if (i % 4 === 0) throw new Error("on purpose");
      return readFileSync(openIn(root, "/data/in", { flags: 0 }), "utf8");
    }).catch((error: Error) => error.message),
  );
  assert.deepEqual(new Set(await Promise.all(all)), new Set(["one", "on purpose"]));
});

test("a part of a source is looked for inside the source", { skip }, async (t) => {
  const folder = setUp(t);
  mkdirSync(join(folder, "one/deep"));
  writeFileSync(join(folder, "one/deep/in"), "deep in one");
  symlinkSync("/deep", join(folder, "one/link"));
  const at = (part: string) => [{ source: join(folder, "one"), part, target: "/data", readOnly: false }];
  const read = (root: number) => readFileSync(openIn(root, "data/in", { flags: 0 }), "utf8");
  await withStage(join(folder, "root"), at("link"), async (root) => assert.equal(read(root), "deep in one"));
  await withStage(join(folder, "root"), at("../../deep"), async (root) => assert.equal(read(root), "deep in one"));
  await assert.rejects(
    withStage(join(folder, "root"), at("none"), async () => {}),
    { code: "ENOENT" },
  );
});
