import assert from "node:assert/strict";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { errnoOf } from "../base/errors.ts";
import { lockFile } from "./locks.ts";
import { isMountPoint, mount, mountOverlay, mountTable, unmount, unmountIfMounted } from "./mounts.ts";
import { createNetns, openSocket, removeNetns } from "./netns.ts";
import { deviceNumbers, makeNode, setTimes, spreadFolders } from "./nodes.ts";
import { fdPath, openIn } from "./rooted.ts";
import { killProcess, run, spawn } from "./spawn.ts";
import { getXattr, listXattrs, removeXattr, setXattr } from "./xattrs.ts";

function folder(t: { after(work: () => void): void }): string {
  const path = mkdtempSync(join(tmpdir(), "gantry-kernel-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const code = (expected: string) => (error: unknown) => errnoOf(error) === expected;

test("an overlay shows the upper folder over a hundred lower ones", (t) => {
  const at = folder(t);
  const lower = Array.from({ length: 100 }, (_, i) => {
    mkdirSync(join(at, `l${i}`));
    writeFileSync(join(at, `l${i}`, "same"), `${i}`);
    writeFileSync(join(at, `l${i}`, `own${i}`), "");
    return join(at, `l${i}`);
  });
  for (const name of ["upper", "work", "merged"]) mkdirSync(join(at, name));
  const target = join(at, "merged");
  t.after(() => unmountIfMounted(target, { detach: true }));
  mountOverlay({ lower, upper: join(at, "upper"), work: join(at, "work"), target });
  assert.equal(readFileSync(join(target, "same"), "utf8"), "0");
  assert.equal(readdirSync(target).length, 101);
  assert.ok(isMountPoint(target));
  writeFileSync(join(target, "new"), "x");
  unmount(target);
  assert.ok(!isMountPoint(target));
  assert.deepEqual(readdirSync(join(at, "upper")), ["new"]);
});

test("a mount on a path with spaces is found in the table and unmounting twice is told apart", (t) => {
  const target = join(folder(t), "a b");
  mkdirSync(target);
  t.after(() => unmountIfMounted(target, { detach: true }));
  mount({ source: "tmpfs", target, type: "tmpfs", flags: ["nosuid", "nodev"], data: "size=64k" });
  const entry = mountTable().find((e) => e.target === target);
  assert.equal(entry?.type, "tmpfs");
  assert.ok(entry?.options.includes("nosuid"));
  assert.equal(unmountIfMounted(target), true);
  assert.equal(unmountIfMounted(target), false);
  assert.throws(() => unmount(target), code("EINVAL"));
});

test("extended attributes of a link are the link's own", (t) => {
  const at = folder(t);
  const file = join(at, "file");
  writeFileSync(file, "");
  symlinkSync("file", join(at, "link"));
  setXattr(file, "user.binary", Buffer.from([0x80, 0, 0xff]));
  assert.deepEqual([...(getXattr(file, "user.binary") ?? [])], [0x80, 0, 0xff]);
  assert.deepEqual(listXattrs(file), ["user.binary"]);
  assert.equal(getXattr(join(at, "link"), "user.binary"), undefined);
  removeXattr(file, "user.binary");
  assert.deepEqual(listXattrs(file), []);
  assert.throws(() => getXattr(join(at, "missing"), "user.x"), code("ENOENT"));
});

test("device numbers and nanosecond times survive", (t) => {
  const path = join(folder(t), "device");
  makeNode(path, constants.S_IFCHR | 0o600, 259, 70000);
  assert.deepEqual(deviceNumbers(statSync(path, { bigint: true }).rdev), { major: 259, minor: 70000 });
  setTimes(path, 1n, 1_700_000_000_238_203_072n);
  assert.equal(statSync(path, { bigint: true }).mtimeNs, 1_700_000_000_238_203_072n);
  setTimes(path, -1n, -1_500_000_001n);
  assert.equal(statSync(path, { bigint: true }).mtimeNs, -1_500_000_001n);
});

test("folders are spread where the file system can do that, and nothing is said where it cannot", (t) => {
  const place = folder(t);
  const first = spreadFolders(place);
  mkdirSync(join(place, "in it"));
  assert.equal(spreadFolders(place), first);
  assert.equal(spreadFolders("/proc"), false);
  assert.equal(spreadFolders(join(place, "missing")), false);
});

test("a path opened in a root never leaves it", (t) => {
  const at = folder(t);
  mkdirSync(join(at, "root"));
  writeFileSync(join(at, "secret"), "outside");
  writeFileSync(join(at, "root", "secret"), "inside");
  symlinkSync("../../../../secret", join(at, "root", "up"));
  symlinkSync("/secret", join(at, "root", "absolute"));
  symlinkSync("/proc/self/root", join(at, "root", "magic"));
  const root = openSync(join(at, "root"), constants.O_DIRECTORY | constants.O_RDONLY);
  t.after(() => closeSync(root));
  for (const path of ["up", "absolute", "/secret", "../../secret", "./up"]) {
    const fd = openIn(root, path, { flags: constants.O_RDONLY });
    assert.equal(readFileSync(fdPath(fd), "utf8"), "inside", path);
    closeSync(fd);
  }
  assert.throws(() => openIn(root, "up", { flags: constants.O_RDONLY, resolve: "beneath" }), code("EXDEV"));
  assert.throws(() => openIn(root, "magic", { flags: constants.O_RDONLY }), code("ENOENT"));
  assert.throws(() => openIn(root, "a\0b", { flags: constants.O_RDONLY }), TypeError);
});

test("a command's output, input and exit are its own", async () => {
  const echo = await run("cat", [], { input: "x".repeat(300_000) });
  assert.equal(echo.stdout.length, 300_000);
  assert.equal(echo.code, 0);
  const failed = await run("sh", ["-c", "echo no >&2; exit 3"]);
  assert.deepEqual([failed.code, failed.stderr.toString()], [3, "no\n"]);
  const killed = await run("sh", ["-c", "kill -9 $$"]);
  assert.deepEqual([killed.code, killed.signal], [null, 9]);
  await assert.rejects(run("/does/not/exist", []), code("ENOENT"));
  await assert.rejects(run("yes", [], { maxBytes: 100_000 }), /more than 100000 bytes/);
  assert.equal((await run("sleep", ["100"], { timeoutMs: 20 })).signal, 9);
});

test("a command is over when it ends, whoever holds its output then, and what it left running goes on", async () => {
  const left = await run("sh", ["-c", "sleep 1000 & echo $!; echo why >&2; exit 3"], { timeoutMs: 600_000 });
  const pid = Number(left.stdout);
  try {
    assert.deepEqual([left.code, String(left.stderr)], [3, "why\n"]);
    assert.ok(pid > 0 && existsSync(`/proc/${pid}`));
  } finally {
    process.kill(pid, 9);
  }
  // All of what was written before the end arrives.
  const much = await run("sh", ["-c", "sleep 1000 & pid=$!; head -c 3000000 /dev/zero; echo $pid >&2"]);
  process.kill(Number(much.stderr), 9);
  assert.equal(much.stdout.length, 3_000_000);
});

test("a child inherits the descriptors it was given and no other", async () => {
  const hidden = openSync("/dev/null", "r");
  const listed = await run("ls", ["/proc/self/fd"]);
  closeSync(hidden);
  assert.deepEqual(listed.stdout.toString().trim().split("\n"), ["0", "1", "2", "3"]); // 3: ls's own
});

test("hundreds of children at once are all reaped", async () => {
  const codes = await Promise.all(
    Array.from({ length: 200 }, (_, i) => spawn({ file: "sh", args: ["-c", `exit ${i % 100}`] }).exited),
  );
  assert.ok(codes.every(({ code }, i) => code === i % 100));
  const sleeper = spawn({ file: "sleep", args: ["100"] });
  killProcess(sleeper.pid, 15);
  assert.deepEqual(await sleeper.exited, { code: null, signal: 15 });
  assert.throws(() => killProcess(sleeper.pid, 0), code("ESRCH"));
});

test("a network namespace lives by its file and sockets can be made in it", async (t) => {
  const path = join(folder(t), "ns");
  t.after(() => removeNetns(path));
  await createNetns(path);
  await assert.rejects(createNetns(path), code("EEXIST"));
  const AF_INET = 2;
  const SOCK_DGRAM = 2;
  const fd = openSocket({ netns: path, family: AF_INET, type: SOCK_DGRAM, protocol: 0 });
  closeSync(fd);
  removeNetns(path);
  removeNetns(path);
  assert.throws(() => openSocket({ netns: path, family: AF_INET, type: SOCK_DGRAM, protocol: 0 }), code("ENOENT"));
});

test("a locked file refuses a second lock until it is let go", (t) => {
  const path = join(folder(t), "lock");
  const first = lockFile(path);
  assert.ok(first);
  assert.equal(lockFile(path), undefined);
  first.release();
  const second = lockFile(path);
  assert.ok(second);
  second.release();
});
