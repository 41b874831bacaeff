import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { gzipSync } from "node:zlib";
import { TarWriter } from "../base/tar/writer.ts";
import type { Events } from "../events/events.ts";
import { openPlugins } from "../plugins/open.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { unmountBelow } from "../testing/unmount.ts";
import { openVolumes } from "./open.ts";
import type { Volumes } from "./volumes.ts";

const FREE = { force: false, inUseBy: [] };
/** Nobody writes. */
const quiet = async () => {};

async function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "gantry-copies-"));
  const paths = makePaths(join(folder, "data"), join(folder, "exec"));
  const store = openStore(paths);
  const events = { publish() {} } as unknown as Events;
  const volumes = openVolumes({ store, events, logger: { log() {} }, plugins: openPlugins() });
  t.after(() => {
    store.close();
    unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  const data = join((await volumes.create({ Name: "data" })).Mountpoint, ".");
  writeFileSync(join(data, "file"), "first");
  return { paths, store, volumes, data };
}

const fileIn = (volumes: Volumes, name: string) => readFileSync(join(volumes.inspect(name).Mountpoint, "file"), "utf8");

/** A tar of these files. */
async function tar(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const writer = new TarWriter();
  const chunks = Array.fromAsync(writer.stream as AsyncIterable<Buffer>);
  for (const [path, text] of Object.entries(files)) await writer.add({ path }, Buffer.from(text));
  await writer.finish();
  return Buffer.concat(await chunks);
}

test("a clone is a volume of its own", async (t) => {
  const { volumes, data } = await setUp(t);
  await volumes.copy("data", { name: "twin", snapshot: false, labels: { a: "b" }, still: quiet });
  writeFileSync(join(data, "file"), "second");
  assert.equal(fileIn(volumes, "twin"), "first");
  assert.deepEqual(volumes.inspect("twin").Labels, { a: "b" });
  await assert.rejects(volumes.copy("data", { name: "twin", snapshot: false, still: quiet }), { kind: "conflict" });
  await assert.rejects(volumes.copy("none", { name: "twin2", snapshot: false, still: quiet }), { kind: "not-found" });
  await assert.rejects(volumes.copy("data", { name: "../x", snapshot: false, still: quiet }), { kind: "invalid" });
});

test("a snapshot says what it is of, and nobody writes to it", async (t) => {
  const { volumes } = await setUp(t);
  await volumes.copy("data", { name: "monday", snapshot: true, still: quiet });
  assert.deepEqual(volumes.inspect("monday").Status, { SnapshotOf: "data" });
  const folder = await volumes.acquire("monday", "someone");
  assert.equal(readFileSync(join(folder, "file"), "utf8"), "first");
  assert.throws(() => writeFileSync(join(folder, "file"), "changed"), { code: "EROFS" });
  await volumes.release("monday", "someone");
  await volumes.remove("monday", FREE);
});

test("what is written while the copy is made is in it as of the moment of standing still", async (t) => {
  const { volumes, data } = await setUp(t);
  for (let i = 0; i < 500; i++) writeFileSync(join(data, `n${i}`), "0");
  await volumes.copy("data", {
    name: "moment",
    snapshot: false,
    still: async (last) => {
      for (let i = 0; i < 500; i++) writeFileSync(join(data, `n${i}`), "1");
      await last();
      writeFileSync(join(data, "n0"), "2");
    },
  });
  const copy = volumes.inspect("moment").Mountpoint;
  assert.deepEqual(
    new Set(readdirSync(copy).map((name) => readFileSync(join(copy, name), "utf8"))),
    new Set(["1", "first"]),
  );
});

test("a copy that fails leaves no volume, and one that is cancelled neither", async (t) => {
  const { volumes, paths } = await setUp(t);
  const failing = volumes.copy("data", { name: "gone", snapshot: false, still: () => Promise.reject(new Error("no")) });
  await assert.rejects(failing, /no/);
  const cancelled = { name: "gone", snapshot: false, still: quiet, signal: AbortSignal.abort() };
  await assert.rejects(volumes.copy("data", cancelled));
  assert.equal(existsSync(paths.volume("gone")), false);
  await assert.rejects(async () => volumes.inspect("gone"), { kind: "not-found" });
  await volumes.remove("data", FREE);
});

test("a volume goes back to a snapshot unless someone uses it", async (t) => {
  const { volumes, data } = await setUp(t);
  await volumes.copy("data", { name: "monday", snapshot: true, still: quiet });
  writeFileSync(join(data, "file"), "broken");
  writeFileSync(join(data, "more"), "");
  await volumes.acquire("data", "someone");
  await assert.rejects(volumes.restoreFrom("data", "monday"), { kind: "conflict" });
  await volumes.release("data", "someone");
  await volumes.restoreFrom("data", "monday");
  assert.deepEqual([readdirSync(data), fileIn(volumes, "data")], [["file"], "first"]);
  await assert.rejects(volumes.restoreFrom("monday", "data"), { kind: "conflict" });
  await assert.rejects(volumes.restoreFrom("data", "data"), { kind: "invalid" });
  await assert.rejects(volumes.restoreFrom("data", "none"), { kind: "not-found" });
});

test("an engine that was killed while it restored has the old content or the new", async (t) => {
  const { volumes, paths, data } = await setUp(t);
  const beside = (name: string) => join(paths.volume("data"), name);
  mkdirSync(beside("_new"));
  writeFileSync(join(beside("_new"), "half"), "");
  mkdirSync(beside("_moment-1"));
  await volumes.restore(new Map());
  assert.deepEqual([readdirSync(paths.volume("data")), readdirSync(data)], [["_data"], ["file"]]);
  renameSync(data, beside("_old"));
  mkdirSync(beside("_new"));
  await volumes.restore(new Map());
  assert.deepEqual([readdirSync(paths.volume("data")), readdirSync(data)], [["_data"], ["file"]]);
});

test("what was exported is imported again, into a new volume or an empty one", async (t) => {
  const { volumes } = await setUp(t);
  const archive = Buffer.concat(
    await Array.fromAsync((await volumes.export("data", undefined)) as AsyncIterable<Buffer>),
  );
  await volumes.import({ Name: "copy", Labels: { a: "b" } }, Readable.from([gzipSync(archive)]));
  assert.equal(fileIn(volumes, "copy"), "first");
  assert.deepEqual(volumes.inspect("copy").Labels, { a: "b" });
  const { Name, Labels } = await volumes.import({ Labels: { a: "b" } }, Readable.from([archive]));
  assert.deepEqual([fileIn(volumes, Name), Labels], ["first", { a: "b", "com.docker.volume.anonymous": "" }]);
  await volumes.create({ Name: "empty" });
  await volumes.import({ Name: "empty" }, Readable.from([archive]));
  assert.equal(fileIn(volumes, "empty"), "first");
  await assert.rejects(volumes.import({ Name: "empty" }, Readable.from([archive])), { kind: "conflict" });
  await volumes.remove("data", FREE);
});

test("what is left of a volume whose removal was cut short gives its name to a copy and to an import", async (t) => {
  const { volumes, store } = await setUp(t);
  for (const name of ["twin", "brought"]) {
    const { Mountpoint } = await volumes.create({ Name: name });
    writeFileSync(join(Mountpoint, "left"), "");
    store.run("UPDATE volumes SET state = 'removing' WHERE name = ?", name);
  }
  const twin = await volumes.copy("data", { name: "twin", snapshot: false, still: quiet });
  const brought = await volumes.import({ Name: "brought" }, Readable.from([await tar({ file: "first" })]));
  for (const { Mountpoint } of [twin, brought]) assert.deepEqual(readdirSync(Mountpoint), ["file"]);
});

test("an export is of the moment when the writers stood still, and leaves nothing behind", async (t) => {
  const { volumes, paths, data } = await setUp(t);
  const stream = await volumes.export("data", async (last) => {
    writeFileSync(join(data, "file"), "at rest");
    await last();
    writeFileSync(join(data, "file"), "later");
  });
  await volumes.import({ Name: "copy" }, stream);
  assert.equal(fileIn(volumes, "copy"), "at rest");
  const left = await volumes.export("data", quiet);
  left.destroy();
  while (readdirSync(paths.volume("data")).length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(readdirSync(paths.volume("data")), ["_data"]);
});

test("what is no archive, is cut short or leads out makes no volume and changes none", async (t) => {
  const { volumes, paths } = await setUp(t);
  await volumes.create({ Name: "empty" });
  const good = await tar({ file: "x".repeat(5000) });
  const bad = [Buffer.from("no tar at all".repeat(100)), good.subarray(0, 2000), await tar({ "../../escape": "x" })];
  for (const archive of bad)
    for (const name of ["new", "empty"])
      await assert.rejects(volumes.import({ Name: name }, Readable.from([archive])), { kind: "invalid" });
  assert.deepEqual(
    volumes.list().map(({ Name }) => Name),
    ["data", "empty"],
  );
  assert.deepEqual(
    [readdirSync(paths.volumes), readdirSync(join(paths.volume("empty"), "_data"))],
    [["data", "empty"], []],
  );
});
