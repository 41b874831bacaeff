import assert from "node:assert/strict";
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { TarWriter } from "../base/tar/writer.ts";
import { archiveContent, archiveTree } from "./archive-tree.ts";
import { extractTar } from "./extract-tree.ts";

function folder(t: TestContext): { readonly path: string; readonly fd: number } {
  const path = mkdtempSync(join(tmpdir(), "tree-tar-"));
  const fd = openSync(path, "r");
  t.after(() => {
    closeSync(fd);
    rmSync(path, { recursive: true, force: true });
  });
  return { path, fd };
}

/** As `find` would list it, a character for each byte. */
function listing(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: "latin1" }).sort();
}

test("a tree comes out of a tar as it went in, also with names that are no UTF-8", async (t) => {
  const [from, to] = [folder(t), folder(t)];
  const raw = Buffer.concat([Buffer.from(`${from.path}/`), Buffer.from([0x66, 0xff, 0xfe])]);
  mkdirSync(raw);
  writeFileSync(Buffer.concat([raw, Buffer.from([0x2f, 0xe9])]), "inside");
  writeFileSync(join(from.path, "ünï"), "text");
  chmodSync(join(from.path, "ünï"), 0o4750);
  linkSync(join(from.path, "ünï"), join(from.path, "zweiter"));
  symlinkSync(Buffer.from([0x2e, 0x2e, 0x2f, 0xff]), join(from.path, "link"));
  const writer = new TarWriter();
  const writing = archiveContent(from.fd, "/", writer).then(() => writer.finish());
  await extractTar(to.fd, writer.stream, { noOverwriteDirNonDir: false });
  await writing;
  assert.deepEqual(listing(to.path), listing(from.path));
  assert.equal(statSync(join(to.path, "ünï")).mode & 0o7777, 0o4750);
  assert.equal(statSync(join(to.path, "ünï")).ino, statSync(join(to.path, "zweiter")).ino);
  assert.deepEqual([...readlinkSync(join(to.path, "link"), { encoding: "buffer" })], [0x2e, 0x2e, 0x2f, 0xff]);
});

test("a tree goes in under the name it is given", async (t) => {
  const [from, to] = [folder(t), folder(t)];
  mkdirSync(join(from.path, "a/b"), { recursive: true });
  writeFileSync(join(from.path, "a/b/c"), "");
  const writer = new TarWriter();
  const writing = archiveTree(from.fd, "/a", "other", writer).then(() => writer.finish());
  await extractTar(to.fd, writer.stream, { noOverwriteDirNonDir: false });
  await writing;
  assert.deepEqual(listing(to.path), ["other", "other/b", "other/b/c"]);
});
