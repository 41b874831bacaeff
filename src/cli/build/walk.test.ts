import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { type TestContext, test } from "node:test";
import { sendFiles } from "./send-files.ts";
import { type Listing, listFolder } from "./walk.ts";

function folder(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "gantry-walk-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

type Line = [path: string, kind: string, mode: number, mtime: string, size: number, link: string, stamp: string];

async function lines(listing: Listing): Promise<Line[]> {
  const text = (await Array.fromAsync(listing.chunks())).join("");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

const paths = async (root: string, ...patterns: string[]) =>
  (await lines(listFolder(root, patterns))).map(([path, kind]) => `${kind} ${path}`);

test("folders come before what is in them; links and further names are told as such", async (t) => {
  const root = folder(t, { "a/b/c": "12345", z: "" });
  symlinkSync("../z", join(root, "a", "link"));
  linkSync(join(root, "a/b/c"), join(root, "again"));
  const found = await lines(listFolder(root, []));
  assert.deepEqual(
    found.map(([path, kind, , , size, link]) => [path, kind, size, link]),
    [
      ["a", "d", 0, ""],
      ["a/b", "d", 0, ""],
      ["a/b/c", "f", 5, ""],
      ["a/link", "l", 0, "../z"],
      ["again", "h", 0, "a/b/c"],
      ["z", "f", 0, ""],
    ],
  );
  assert.equal(found[2]?.[6], found[4]?.[6]);
});

test("what the ignore file names is left out, and what it excepts is not", async (t) => {
  const root = folder(t, { "keep/x": "", "drop/x": "", "drop/deep/y": "", "a.log": "", "sub/a.log": "", "sub/b": "" });
  assert.deepEqual(await paths(root, "drop", "*.log"), ["d keep", "f keep/x", "d sub", "f sub/a.log", "f sub/b"]);
  assert.deepEqual(await paths(root, "*", "!drop/deep"), ["d drop", "d drop/deep", "f drop/deep/y"]);
  assert.deepEqual(await paths(root, "**/*.log", "keep", "drop"), ["d sub", "f sub/b"]);
});

test("sockets are passed over; fifos are an error, unless left out", async (t) => {
  const root = folder(t, { f: "" });
  const server = createServer().listen(join(root, "socket"));
  t.after(() => server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  assert.deepEqual(await paths(root), ["f f"]);
  execFileSync("mkfifo", [join(root, "pipe")]);
  await assert.rejects(paths(root), { kind: "invalid", message: /named pipe: pipe/ });
  assert.deepEqual(await paths(root, "pipe"), ["f f"]);
});

test("files are sent one after another; one that changed since is an error", async (t) => {
  const root = folder(t, { a: "x".repeat(300_000), b: "", c: "end" });
  const listing = listFolder(root, []);
  const numbers = (await lines(listing)).map((_, index) => index);
  const files = numbers.flatMap((number) => listing.file(number) ?? []);
  const channel = new PassThrough();
  const received = Array.fromAsync(channel as AsyncIterable<Buffer>);
  await sendFiles(root, files, channel);
  assert.equal(Buffer.concat(await received).toString(), `${"x".repeat(300_000)}end`);
  writeFileSync(join(root, "c"), "longer");
  await assert.rejects(sendFiles(root, files, new PassThrough().resume()), { message: /^c changed while/ });
  rmSync(join(root, "c"));
  await assert.rejects(sendFiles(root, files, new PassThrough().resume()), {
    kind: "invalid",
    message: /no such file/,
  });
});
