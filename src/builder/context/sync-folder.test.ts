import assert from "node:assert/strict";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { SyncLine } from "./contexts.ts";
import { type KeptFolder, planSync } from "./sync-folder.ts";

function kept(t: TestContext): KeptFolder {
  const folder = mkdtempSync(join(tmpdir(), "gantry-sync-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "tree"));
  return { tree: join(folder, "tree"), list: join(folder, "list") };
}

const file = (path: string, data: string, stamp = "1"): [SyncLine, string] => [
  [path, "f", 0o644, "1000000000", data.length, "", stamp],
  data,
];
const folder = (path: string, mtime = "5"): [SyncLine, string] => [[path, "d", 0o755, mtime, 0, "", ""], ""];
const link = (path: string, to: string): [SyncLine, string] => [[path, "l", 0o777, "7", 0, to, ""], ""];

/** Syncs and says which files were asked for. */
async function sync(place: KeptFolder, ...entries: readonly [SyncLine, string][]): Promise<string[] | "same"> {
  async function* lines(): AsyncGenerator<string> {
    for (const [line] of entries) yield JSON.stringify(line);
  }
  const plan = await planSync(place, lines());
  if (plan.same) return "same";
  const asked: string[] = [];
  await plan.run({
    async *contents(numbers) {
      const all = Buffer.concat(numbers.map((number) => Buffer.from(entries[number]?.[1] ?? "")));
      asked.push(...numbers.map((number) => entries[number]?.[0][0] ?? ""));
      for (let at = 0; at < all.length; at += 7) yield all.subarray(at, at + 7);
    },
  });
  return asked;
}

const content = (place: KeptFolder, path: string) => readFileSync(join(place.tree, path), "utf8");

test("only new and changed files are asked for, and what is gone goes", async (t) => {
  const place = kept(t);
  const start = [folder("d"), file("d/a", "first file"), file("b", "second"), file("e", ""), link("l", "b")];
  assert.deepEqual(await sync(place, ...start), ["d/a", "b"]);
  assert.equal(await sync(place, ...start), "same");
  const inode = statSync(join(place.tree, "b")).ino;
  assert.deepEqual(await sync(place, folder("d"), file("d/a", "changed", "2"), file("b", "second"), link("l", "d/a")), [
    "d/a",
  ]);
  assert.deepEqual((readdirSync(place.tree, { recursive: true }) as string[]).sort(), ["b", "d", "d/a", "l"]);
  assert.equal(content(place, "d/a"), "changed");
  assert.equal(content(place, "l"), "changed");
  assert.equal(statSync(join(place.tree, "b")).ino, inode);
  assert.equal(lstatSync(join(place.tree, "d"), { bigint: true }).mtimeNs, 5n);
});

test("a file becomes a folder, a folder a link, a link a file", async (t) => {
  const place = kept(t);
  await sync(place, file("a", "x"), folder("b"), file("b/c", "y"), link("c", "a"));
  assert.deepEqual(await sync(place, folder("a"), file("a/n", "new"), link("b", "a"), file("c", "file")), ["a/n", "c"]);
  assert.equal(content(place, "b/n"), "new");
  assert.equal(content(place, "c"), "file");
});

test("a file with two names stays one file, and changes under both", async (t) => {
  const place = kept(t);
  const further = (path: string, to: string, stamp: string): [SyncLine, string] => [
    [path, "h", 0o644, "1000000000", 0, to, stamp],
    "",
  ];
  assert.deepEqual(await sync(place, file("a", "one", "1"), further("b", "a", "1")), ["a"]);
  assert.equal(statSync(join(place.tree, "b")).nlink, 2);
  assert.deepEqual(await sync(place, file("a", "two", "2"), further("b", "a", "2")), ["a"]);
  assert.equal(content(place, "b"), "two");
  await assert.rejects(sync(place, further("c", "../x", "1")), { kind: "invalid" });
  await assert.rejects(sync(place, further("c", "none", "1")), { kind: "invalid" });
});

test("large files are written as they come", async (t) => {
  const place = kept(t);
  const data = "0123456789".repeat(40_000);
  await sync(place, file("small", "s"), file("large", data), file("after", "a"));
  assert.ok(content(place, "large") === data);
  assert.equal(content(place, "after"), "a");
});

test("a listing cannot lead out of the folder", async (t) => {
  const place = kept(t);
  const outside = mkdtempSync(join(tmpdir(), "gantry-outside-"));
  t.after(() => rmSync(outside, { recursive: true, force: true }));
  for (const path of ["../x", "/x", "a/../../x", "a//b", "./a", "a/", "", "..", "a\0b"])
    await assert.rejects(sync(place, file(path, "x")), { kind: "invalid" }, path);
  await assert.rejects(sync(place, link("l", outside), file("l/x", "x")), { kind: "invalid" });
  // A folder that turns into a link while the listing says that what was below it is still there.
  await sync(place, folder("x"), folder("x/sub"), file("x/sub/f", "1"));
  mkdirSync(join(outside, "sub"));
  await assert.rejects(sync(place, link("x", outside), folder("x/sub"), file("x/sub/evil", "2")), { kind: "invalid" });
  assert.deepEqual(readdirSync(join(outside, "sub")), []);
});

test("wrong lines, too few and too many bytes are refused", async (t) => {
  const place = kept(t);
  const wrong: readonly unknown[] = [
    [],
    {},
    "x",
    ["a", "x", 0, "0", 0, "", ""],
    ["a", "f", 0o10000, "0", 0, "", ""],
    ["a", "f", 0, "x", 0, "", ""],
    ["a", "f", 0, "0", -1, "", ""],
    ["a", "f", 0, "0", 1.5, "", ""],
    ["a", "d", 0, "0", 1, "", ""],
    ["a", "l", 0, "0", 0, "", ""],
    ["a/".repeat(2048), "f", 0, "0", 0, "", ""],
    ["\u00e9".repeat(2048), "f", 0, "0", 0, "", ""],
    ["a", "l", 0, "0", 0, "x".repeat(4096), ""],
  ];
  async function* one(text: string): AsyncGenerator<string> {
    yield text;
  }
  for (const line of wrong)
    await assert.rejects(planSync(place, one(JSON.stringify(line))), { kind: "invalid" }, JSON.stringify(line));
  const long = async function* () {
    for (let at = 0; ; at++) yield JSON.stringify(file(`${at}`, "x")[0]);
  };
  await assert.rejects(planSync(place, long(), 10_000), { kind: "too-large" });
  for (const [bytes, kind] of [
    ["12", "cancelled"],
    ["1234", "invalid"],
  ] as const) {
    const plan = await planSync(place, one(JSON.stringify(file("f", "123")[0])));
    async function* contents(): AsyncGenerator<Buffer> {
      yield Buffer.from(bytes);
    }
    await assert.rejects(plan.run({ contents }), { kind });
    rmSync(join(place.tree, "f"), { force: true });
  }
  writeFileSync(place.list, "");
});
