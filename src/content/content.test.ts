import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { makePaths, type Paths } from "../store/paths.ts";
import type { Content } from "./content.ts";
import { openContent } from "./open.ts";

let root: string;
let paths: Paths;
let content: Content;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "gantry-content-"));
  paths = makePaths(join(root, "data"), join(root, "run"));
  mkdirSync(paths.ingests, { recursive: true });
  content = openContent({ paths });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const HELLO = Buffer.from("hello");
const text = async (stream: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(stream)).toString();

test("a stored value is found by its digest, whole and in part", async () => {
  const { digest, size } = await content.put(HELLO);
  assert.equal(digest, digestOf(HELLO));
  assert.equal(size, 5);
  assert.equal((await content.read(digest)).toString(), "hello");
  assert.equal(await text(content.stream(digest)), "hello");
  assert.equal(await text(content.stream(digest, { start: 1, end: 3 })), "el");
  assert.equal(await text(content.stream(digest, { start: 5, end: 5 })), "");
  assert.equal(statSync(content.path(digest)).mode & 0o777, 0o444);
  assert.deepEqual([...content.walk()], [content.info(digest)]);
});

test("what is not stored is not found, and what is too large is not read", async () => {
  const { digest } = await content.put(HELLO);
  const other = digestOf("other");
  assert.equal(content.info(other), undefined);
  assert.throws(() => content.path(other), { kind: "not-found" });
  assert.throws(() => content.stream(other), { kind: "not-found" });
  assert.throws(() => content.path("sha256:../../etc/passwd"), { kind: "invalid" });
  await assert.rejects(content.read(other), { kind: "not-found" });
  await assert.rejects(content.read(digest, 4), { kind: "too-large" });
});

test("a wrong digest or size is refused and leaves nothing", async () => {
  for (const expected of [{ digest: digestOf("other") }, { size: 4 }]) {
    const ingest = await content.ingest("wrong");
    await ingest.write(HELLO);
    await assert.rejects(ingest.commit(expected), { kind: "invalid" });
  }
  assert.deepEqual([...content.walk()], []);
  assert.deepEqual(readdirSync(paths.ingests), []);
});

test("sha512 is verified too", async () => {
  const digest = `sha512:${createHash("sha512").update(HELLO).digest("hex")}`;
  const ingest = await content.ingest("long");
  await ingest.write(HELLO);
  assert.equal((await ingest.commit({ digest })).digest, digest);
  assert.equal((await content.read(digest)).toString(), "hello");
  await content.delete(digest);
  assert.equal((await content.put(HELLO, { digest })).digest, digest);
  await assert.rejects(content.put(Buffer.from("other"), { digest: digestOf("another") }), { kind: "invalid" });
});

test("an interrupted ingest goes on where it stopped, with what is there hashed again", async () => {
  const first = await content.ingest("layer/one", { resume: true });
  await first.write(HELLO.subarray(0, 2));
  await first.close();
  const second = await openContent({ paths }).ingest("layer/one", { resume: true });
  assert.equal(second.offset, 2);
  await second.write(HELLO.subarray(2));
  assert.equal((await second.commit({ digest: digestOf(HELLO), size: 5 })).digest, digestOf(HELLO));
  assert.deepEqual(readdirSync(paths.ingests), []);
});

test("a ref has one writer at a time, and is free again after commit, close and abort", async () => {
  const finish = [
    (ingest: Awaited<ReturnType<Content["ingest"]>>) => ingest.commit(),
    (ingest: Awaited<ReturnType<Content["ingest"]>>) => ingest.close(),
    (ingest: Awaited<ReturnType<Content["ingest"]>>) => ingest.abort(),
  ];
  for (const end of finish) {
    const ingest = await content.ingest("one");
    await assert.rejects(content.ingest("one"), { kind: "conflict" });
    await ingest.write(HELLO);
    await end(ingest);
    await end(ingest).catch(() => {});
  }
  await (await content.ingest("one")).abort();
});

test("storing the same bytes at the same time gives one blob", async () => {
  const infos = await Promise.all(Array.from({ length: 10 }, () => content.put(HELLO)));
  assert.equal(new Set(infos.map(({ digest }) => digest)).size, 1);
  assert.equal([...content.walk()].length, 1);
});

test("a start removes what nobody can resume and keeps what somebody can", async () => {
  writeFileSync(paths.ingest("left.once"), "x");
  const kept = await content.ingest("kept", { resume: true });
  await kept.close();
  openContent({ paths });
  assert.deepEqual(readdirSync(paths.ingests), ["kept.resumable"]);
});

test("a deleted blob is gone, twice too", async () => {
  const { digest } = await content.put(HELLO);
  await content.delete(digest);
  await content.delete(digest);
  assert.equal(content.info(digest), undefined);
});

test("deleting says what the disk gets back: nothing while the file has another name", async () => {
  const [alone, shared] = [await content.put(Buffer.alloc(50_000, 1)), await content.put(Buffer.alloc(60_000, 2))];
  linkSync(content.path(shared.digest), join(root, "other"));
  assert.equal(await content.delete(alone.digest), alone.allocated);
  assert.equal(await content.delete(shared.digest), 0);
  assert.equal(statSync(join(root, "other")).size, 60_000);
  assert.equal(await content.delete(alone.digest), 0);
});
