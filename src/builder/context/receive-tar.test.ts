import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { encodeTarHeader, TAR_END, tarPadding } from "../../base/tar/encode.ts";
import type { TarInput } from "../../base/tar/tar.ts";
import { receiveTar } from "./receive-tar.ts";

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "gantry-context-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "root"));
  writeFileSync(join(folder, "outside"), "untouched");
  return join(folder, "root");
}

type Entry = TarInput & { readonly data?: string | Buffer };

function tar(...entries: readonly Entry[]): Buffer {
  const parts = entries.flatMap(({ data = "", ...header }) => {
    const bytes = Buffer.from(data as string);
    return [encodeTarHeader({ ...header, size: header.size ?? bytes.length }), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

const receive = (root: string, archive: Buffer, piece = 1000): Promise<void> => {
  const pieces = Array.from({ length: Math.ceil(archive.length / piece) }, (_, i) =>
    archive.subarray(i * piece, (i + 1) * piece),
  );
  return receiveTar(Readable.from(pieces, { objectMode: false }), root);
};

const tree = (root: string): string[] => (readdirSync(root, { recursive: true }) as string[]).sort();

test("files, folders and links arrive as they were, and belong to root", async (t) => {
  const root = place(t);
  const mtime = 1_600_000_000_123_456_789n;
  const big = Buffer.alloc(300_000, "x");
  await receive(
    root,
    tar(
      { path: "./", type: "directory", mode: 0o700 },
      { path: "a/", type: "directory", mode: 0o751, mtime },
      { path: "a/run", mode: 0o4755, uid: 1000, gid: 1000, mtime, data: "#!" },
      { path: "a/big", mode: 0o640, mtime, data: big },
      { path: "b/c/implied", data: "deep" },
      { path: "link", type: "symlink", linkPath: "../../etc/passwd" },
      { path: "again", type: "hardlink", linkPath: "a/run" },
    ),
  );
  assert.deepEqual(tree(root), ["a", "a/big", "a/run", "again", "b", "b/c", "b/c/implied", "link"]);
  const stat = lstatSync(join(root, "a/run"), { bigint: true });
  assert.deepEqual([stat.mode & 0o7777n, stat.uid, stat.gid, stat.mtimeNs, stat.nlink], [0o4755n, 0n, 0n, mtime, 2n]);
  assert.equal(statSync(join(root, "a")).mode & 0o7777, 0o751);
  assert.equal(lstatSync(join(root, "a"), { bigint: true }).mtimeNs, mtime);
  assert.ok(readFileSync(join(root, "a/big")).equals(big));
  assert.equal(readlinkSync(join(root, "link")), "../../etc/passwd");
});

test("every compression that Docker reads is read, and zstd", async (t) => {
  const archive = tar({ path: "f", data: "x".repeat(5000) });
  const packed = [
    archive,
    gzipSync(archive),
    zstdCompressSync(archive),
    execFileSync("xz", ["-c"], { input: archive }),
    execFileSync("bzip2", ["-c"], { input: archive }),
  ];
  for (const bytes of packed) {
    const root = place(t);
    await receive(root, bytes, 100);
    assert.equal(readFileSync(join(root, "f"), "utf8").length, 5000);
  }
});

test("a later entry replaces an earlier one", async (t) => {
  const root = place(t);
  await receive(
    root,
    tar(
      { path: "f", data: "one" },
      { path: "f", data: "two" },
      { path: "l", type: "symlink", linkPath: "f" },
      { path: "l", data: "a file now" },
      { path: "d", data: "file" },
      { path: "d", type: "directory" },
      { path: "d/x", data: "in" },
    ),
  );
  assert.deepEqual(
    ["f", "l", "d/x"].map((name) => readFileSync(join(root, name), "utf8")),
    ["two", "a file now", "in"],
  );
});

const HOSTILE: readonly (readonly [string, RegExp, ...Entry[]])[] = [
  ["a path that leaves", /path that leaves it: "\.\.\/outside"/, { path: "../outside", data: "x" }],
  ["a path that leaves in the middle", /leaves it/, { path: "a/../../outside", data: "x" }],
  [
    "a file through a link",
    /"l\/outside" below "l", which is no folder/,
    { path: "l", type: "symlink", linkPath: ".." },
    { path: "l/outside", data: "x" },
  ],
  [
    "a folder through a link",
    /which is no folder/,
    { path: "l", type: "symlink", linkPath: "/tmp" },
    { path: "l/x/", type: "directory" },
  ],
  ["a hard link out", /leaves it/, { path: "h", type: "hardlink", linkPath: "../outside" }],
  [
    "a hard link through a link",
    /which is no file before it/,
    { path: "l", type: "symlink", linkPath: ".." },
    { path: "h", type: "hardlink", linkPath: "l/outside" },
  ],
  ["a hard link to nothing", /which is no file before it/, { path: "h", type: "hardlink", linkPath: "h" }],
  ["a fifo", /has a named pipe: "p"/, { path: "p", type: "fifo" }],
  ["a device", /has a device: "d"/, { path: "d", type: "char", major: 1, minor: 3 }],
  ["a file for the root", /in place of its own folder/, { path: ".", type: "file", data: "x" }],
  ["a folder, then a file", /a folder and a file "d"/, { path: "d/x", data: "" }, { path: "d", data: "" }],
  ["a name too long", /too long/, { path: "n".repeat(300), data: "" }],
  ["a path too long", /too long/, { path: "d/".repeat(30_000), type: "directory" }],
  ["a name that is no UTF-8", /no UTF-8/, { path: Buffer.from([0x66, 0xff]), data: "" }],
];

for (const [what, message, ...entries] of HOSTILE)
  test(`${what} is refused, and nothing outside is touched`, async (t) => {
    const root = place(t);
    await assert.rejects(receive(root, tar(...entries)), { kind: "invalid", message });
    assert.equal(readFileSync(join(root, "../outside"), "utf8"), "untouched");
    assert.deepEqual(readdirSync(join(root, "..")).sort(), ["outside", "root"]);
  });

test("what is no tar, and what stops early, is refused", async (t) => {
  const root = place(t);
  await assert.rejects(receive(root, Buffer.from("FROM busybox\n".repeat(200))), { kind: "invalid" });
  await assert.rejects(receive(root, tar({ path: "f", data: "x".repeat(5000) }).subarray(0, 3000)), {
    kind: "invalid",
    message: /truncated/,
  });
  await assert.rejects(receive(root, gzipSync(tar({ path: "f", data: "x" })).subarray(0, 50)), { kind: "invalid" });
});

test("cancelling stops it at the next bytes", async (t) => {
  const root = place(t);
  const controller = new AbortController();
  const archive = tar({ path: "f", data: Buffer.alloc(1 << 20) });
  async function* slow(): AsyncGenerator<Buffer> {
    yield archive.subarray(0, 600_000);
    controller.abort();
    yield archive.subarray(600_000);
  }
  await assert.rejects(receiveTar(Readable.from(slow(), { objectMode: false }), root, controller.signal), {
    name: "AbortError",
  });
  assert.deepEqual(readdirSync(root), []);
});

test("whatever the names, nothing is written outside", async (t) => {
  const part = fc.constantFrom("a", "b", "..", ".", "", "l");
  const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/") || "a");
  const entry = fc.record({
    path,
    type: fc.constantFrom("file", "directory", "symlink", "hardlink") as fc.Arbitrary<"file">,
    linkPath: path,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
      const root = place(t);
      await receive(root, tar(...entries)).catch((error: { kind?: string }) => assert.equal(error.kind, "invalid"));
      assert.deepEqual(readdirSync(join(root, "..")).sort(), ["outside", "root"]);
      assert.equal(readFileSync(join(root, "../outside"), "utf8"), "untouched");
    }),
    { numRuns: 150 },
  );
});
