import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { EngineError } from "../base/errors.ts";
import type { EventInput, Events } from "../events/events.ts";
import { isMountPoint } from "../kernel/mounts.ts";
import { openPlugins } from "../plugins/open.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { mountSilence } from "../testing/silent-file-system.ts";
import { unmountBelow } from "../testing/unmount.ts";
import { openVolumes } from "./open.ts";

const FREE = { force: false, inUseBy: [] };

const noFuse = !existsSync("/dev/fuse") && "the kernel has no FUSE";

function setUp(t: TestContext, { mountMs }: { readonly mountMs?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "gantry-volumes-"));
  const paths = makePaths(join(folder, "data"), join(folder, "exec"));
  const published: string[] = [];
  const events = { publish: ({ action, id }: EventInput) => published.push(`${action} ${id}`) } as unknown as Events;
  const open = () => {
    const store = openStore(paths);
    const quiet = { logger: { log() {} }, plugins: openPlugins(), mountMs };
    return { store, volumes: openVolumes({ store, events, ...quiet }) };
  };
  const first = open();
  let { store } = first;
  t.after(() => {
    store.close();
    unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  const reopen = () => {
    store.close();
    const next = open();
    store = next.store;
    return next.volumes;
  };
  return { folder, paths, published, volumes: first.volumes, reopen, run: (sql: string) => store.run(sql) };
}

test("a volume is made, shown, found again and removed", async (t) => {
  const { volumes, reopen, published, paths } = setUp(t);
  const made = await volumes.create({ Name: "data", Labels: { a: "b" } });
  assert.deepEqual(
    [made.Name, made.Driver, made.Scope, made.Labels, made.Options],
    ["data", "local", "local", { a: "b" }, null],
  );
  assert.deepEqual(await volumes.create({ Name: "data" }), made);
  const again = reopen();
  assert.deepEqual(again.inspect("data"), made);
  await again.remove("data", FREE);
  assert.throws(() => again.inspect("data"), { kind: "not-found", message: "get data: no such volume" });
  await assert.rejects(again.remove("data", FREE), { kind: "not-found" });
  await again.remove("data", { ...FREE, force: true });
  assert.deepEqual(readdirSync(paths.volumes), []);
  assert.deepEqual(published, ["create data", "destroy data"]);
});

test("a volume without a name gets one, and says that it is anonymous", async (t) => {
  const { volumes } = setUp(t);
  const { Name, Labels } = await volumes.create({});
  assert.match(Name, /^[0-9a-f]{64}$/);
  assert.deepEqual(Labels, { "com.docker.volume.anonymous": "" });
});

test("names, drivers and options are judged in Docker's words", async (t) => {
  const { volumes } = setUp(t);
  await assert.rejects(volumes.create({ Name: "a/b" }), {
    kind: "invalid",
    message:
      /"a\/b" includes invalid characters for a local volume name, only "\[a-zA-Z0-9\]\[a-zA-Z0-9_.-\]" are allowed\. If you intended to pass a host directory, use absolute path/,
  });
  await assert.rejects(volumes.create({ Name: "a" }), { kind: "invalid", message: /too short/ });
  await assert.rejects(volumes.create({ Name: "ab", Driver: "nfs" }), {
    kind: "not-found",
    message: /plugin "nfs" not found/,
  });
  await assert.rejects(volumes.create({ Name: "ab", DriverOpts: { colour: "red" } }), {
    kind: "invalid",
    message: /invalid option: "colour"/,
  });
  await assert.rejects(volumes.create({ Name: "ab", DriverOpts: { type: "tmpfs" } }), {
    kind: "invalid",
    message: "missing device in volume options",
  });
  await volumes.create({ Name: "ab" });
  await assert.rejects(volumes.create({ Name: "ab", DriverOpts: { type: "tmpfs", device: "tmpfs" } }), {
    kind: "conflict",
    message: /exists with different options/,
  });
});

test("a volume in use stays", async (t) => {
  const { volumes } = setUp(t);
  await volumes.create({ Name: "data" });
  await assert.rejects(volumes.remove("data", { force: true, inUseBy: ["c1"] }), {
    kind: "conflict",
    message: "remove data: volume is in use - [c1]",
  });
  await volumes.acquire("data", "c2");
  await assert.rejects(volumes.remove("data", FREE), { kind: "conflict", message: /\[c2\]/ });
  await volumes.release("data", "c2");
  await volumes.remove("data", FREE);
});

test("a device is mounted while someone uses the volume, and not deleted with it", async (t) => {
  const { volumes, folder } = setUp(t);
  const device = join(folder, "device");
  mkdirSync(device);
  writeFileSync(join(device, "kept"), "");
  await volumes.create({ Name: "bound", DriverOpts: { type: "none", o: "bind", device } });
  await volumes.create({ Name: "ram", DriverOpts: { type: "tmpfs", device: "tmpfs", o: "size=1m,uid=77" } });
  for (const name of ["bound", "ram"]) {
    const data = await volumes.acquire(name, "a");
    assert.equal(await volumes.acquire(name, "b"), data);
    assert.equal(isMountPoint(data), true);
    await volumes.release(name, "a");
    await volumes.release(name, "a");
    assert.equal(isMountPoint(data), true);
    if (name === "bound") assert.deepEqual(readdirSync(data), ["kept"]);
    else assert.equal(lstatSync(data).uid, 77);
    await volumes.release(name, "b");
    assert.equal(isMountPoint(data), false);
    await volumes.remove(name, FREE);
  }
  assert.deepEqual(readdirSync(device), ["kept"]);
});

test("a device that is not there gives Docker's error, and nothing is held", async (t) => {
  const { volumes } = setUp(t);
  await volumes.create({ Name: "bad", DriverOpts: { type: "none", o: "bind", device: "/does/not/exist" } });
  await assert.rejects(volumes.acquire("bad", "a"), {
    message: /^failed to mount local volume: mount \/does\/not\/exist:.*no such file or directory$/,
  });
  await volumes.remove("bad", FREE);
});

test("a device whose server does not answer is given up, and holds up nobody else", { skip: noFuse }, async (t) => {
  const { volumes, folder, reopen } = setUp(t, { mountMs: 1500 });
  using silence = mountSilence();
  const away = { type: "none", o: "bind", device: join(silence.folder, "x") };
  await volumes.create({ Name: "away", DriverOpts: away });
  const acquired = volumes.acquire("away", "a");
  await volumes.create({ Name: "here" });
  await volumes.acquire("here", "a");
  await assert.rejects(acquired, {
    message: /^failed to mount local volume: .*: connection timed out$/,
    hint: /server/,
  });
  assert.equal(isMountPoint(join(folder, "data/volumes/away/_data")), false);
  await volumes.remove("away", FREE);

  // Mounted, and then its server goes away: no second user, no count and no copy of the image's content waits for it.
  await volumes.create({ Name: "gone", DriverOpts: { ...away, device: silence.folder } });
  const data = await volumes.acquire("gone", "a");
  assert.equal(await volumes.acquire("gone", "b"), data);
  await assert.rejects(volumes.copyUp("gone", folder), {
    message: /^the volume gone could not be read/,
    hint: /nocopy/,
  });
  const again = reopen();
  await again.restore(new Map([["gone", ["a"]]]));
  assert.equal(await again.acquire("gone", "b"), data);
  for (const user of ["a", "b"]) await again.release("gone", user);
  assert.equal(isMountPoint(data), false);
  await again.remove("gone", FREE);
});

test("the image's content fills an empty volume once, with all that belongs to it", async (t) => {
  const { volumes, folder } = setUp(t);
  const image = join(folder, "image");
  mkdirSync(join(image, "sub"), { recursive: true });
  writeFileSync(join(image, "sub", "file"), "content", { mode: 0o640 });
  linkSync(join(image, "sub", "file"), join(image, "hard"));
  symlinkSync("sub/file", join(image, "soft"));
  chmodSync(image, 0o711);
  await volumes.create({ Name: "data" });
  const data = await volumes.acquire("data", "a");
  await volumes.copyUp("data", image);
  assert.deepEqual(readdirSync(data).sort(), ["hard", "soft", "sub"]);
  assert.equal(lstatSync(data).mode & 0o7777, 0o711);
  assert.equal(lstatSync(join(data, "hard")).ino, lstatSync(join(data, "sub", "file")).ino);
  assert.equal(readlinkSync(join(data, "soft")), "sub/file");
  const taken = await volumes.usage("data");
  assert.ok(taken >= "contentsub/file".length, `${taken} bytes on the disk`);
  rmSync(join(data, "hard"));
  await volumes.copyUp("data", image);
  assert.deepEqual(readdirSync(data).sort(), ["soft", "sub"]);
  await volumes.copyUp("data", join(folder, "nowhere"));
});

test("what a kill cut short is undone at the next start", async (t) => {
  const { volumes, reopen, paths, run } = setUp(t);
  await volumes.create({ Name: "whole" });
  await volumes.create({ Name: "half" });
  mkdirSync(join(paths.volumes, "unknown", "_new"), { recursive: true });
  run("UPDATE volumes SET state = 'removing' WHERE name = 'half'");
  const again = reopen();
  await again.restore(new Map([["whole", ["c1"]]]));
  assert.deepEqual(readdirSync(paths.volumes), ["whole"]);
  assert.deepEqual(
    again.list().map(({ Name }) => Name),
    ["whole"],
  );
  await again.release("whole", "c1");
  await again.remove("whole", FREE);
});

test("data that no row tells of is taken in, not away", async (t) => {
  const { volumes, reopen, paths } = setUp(t);
  const anonymous = "f".repeat(64);
  for (const name of ["brought", anonymous, ".odd"]) mkdirSync(join(paths.volumes, name, "_data"), { recursive: true });
  writeFileSync(join(paths.volumes, "brought", "_data", "kept"), "");
  mkdirSync(join(paths.volumes, "lost+found"));
  await volumes.restore(new Map());
  const again = reopen();
  await again.restore(new Map());
  assert.deepEqual(
    again.list().map(({ Name, Labels }) => [Name, Labels]),
    [
      ["brought", null],
      [anonymous, { "com.docker.volume.anonymous": "" }],
    ],
  );
  assert.deepEqual(readdirSync(again.inspect("brought").Mountpoint), ["kept"]);
  assert.deepEqual(readdirSync(paths.volumes).sort(), [".odd", "brought", anonymous, "lost+found"]);
});

test("what an image fills a volume with does not displace what somebody made there meanwhile", async (t) => {
  const { volumes, folder } = setUp(t);
  const image = join(folder, "image");
  mkdirSync(join(image, "sub"), { recursive: true });
  writeFileSync(join(image, "sub", "file"), "the image's");
  await volumes.create({ Name: "data" });
  const data = await volumes.acquire("data", "a");
  const inode = lstatSync(data).ino;
  await Promise.all([volumes.acquire("data", "b"), volumes.copyUp("data", image), volumes.copyUp("data", image)]);
  assert.deepEqual([lstatSync(data).ino, readdirSync(data)], [inode, ["sub"]]);
});

test("a file system that cannot be mounted is told with what was tried, but for its password", async (t) => {
  const { volumes } = setUp(t);
  const known = readFileSync("/proc/filesystems", "utf8");
  const type = ["nfs", "cifs", "afs"].find((name) => !new RegExp(`\\t${name}$`, "m").test(known)) ?? "nosuchfs";
  const DriverOpts = {
    type,
    o: "addr=localhost,ro,password=secret",
    device: type === "cifs" ? "//127.0.0.1/x" : ":/x",
  };
  await volumes.create({ Name: "far", DriverOpts });
  await assert.rejects(volumes.acquire("far", "a"), (error: EngineError) => {
    assert.match(error.message, /^failed to mount local volume: mount .*data: addr=.*password=\*+: no such device$/);
    assert.match(error.hint ?? "", new RegExp(`no file system ${type}`));
    return true;
  });
  await volumes.remove("far", FREE);
});
