import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { makeNode } from "../kernel/nodes.ts";
import { getXattr, setXattr } from "../kernel/xattrs.ts";
import { Mirror } from "./mirror.ts";

function setUp(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), "mirror-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const [from, to] = [join(root, "from"), join(root, "to")];
  for (const folder of [from, to]) mkdirSync(folder);
  return { root, from, to, mirror: new Mirror(from, to) };
}

function run(mirror: Mirror): void {
  for (const _ of mirror.pass());
}

/** Everything that a copy must keep. */
function picture(root: string): string[] {
  const names = readdirSync(root, { recursive: true, encoding: "latin1" }).sort();
  const inodes = new Map<bigint, string>();
  return ["", ...names].map((name) => {
    const path = Buffer.from(`${Buffer.from(root).toString("latin1")}/${name}`, "latin1");
    const stat = lstatSync(path, { bigint: true });
    const first = stat.isDirectory() ? name : (inodes.get(stat.ino) ?? name);
    inodes.set(stat.ino, first);
    const content = stat.isFile()
      ? readFileSync(path, "latin1")
      : stat.isSymbolicLink()
        ? readlinkSync(path, "latin1")
        : "";
    return [name, stat.mode, stat.uid, stat.gid, stat.mtimeNs, stat.rdev, first, content].join(" ");
  });
}

test("a mirror has everything: links, devices, modes, owners, times, attributes, names of any bytes", (t) => {
  const { from, to, mirror } = setUp(t);
  mkdirSync(join(from, "folder"), { mode: 0o1777 });
  writeFileSync(join(from, "folder/file"), "text");
  chmodSync(join(from, "folder/file"), 0o4711);
  linkSync(join(from, "folder/file"), join(from, "again"));
  symlinkSync("/etc/passwd", join(from, "link"));
  makeNode(join(from, "null"), 0o020666, 1, 3);
  makeNode(join(from, "pipe"), 0o010600, 0, 0);
  writeFileSync(Buffer.concat([Buffer.from(`${from}/`), Buffer.from([0xff, 0x0a, 0xc3])]), "odd");
  setXattr(join(from, "folder/file"), "user.note", "kept");
  run(mirror);
  assert.deepEqual(picture(to), picture(from));
  assert.equal(String(getXattr(join(to, "again"), "user.note")), "kept");
});

test("holes stay holes", (t) => {
  const { from, to, mirror } = setUp(t);
  const fd = openSync(join(from, "sparse"), "w");
  ftruncateSync(fd, 64 << 20);
  closeSync(fd);
  appendFileSync(join(from, "sparse"), "end");
  run(mirror);
  const copy = statSync(join(to, "sparse"));
  assert.equal(copy.size, (64 << 20) + 3);
  assert.ok(copy.blocks * 512 < 1 << 20, `${copy.blocks} blocks`);
});

test("a second pass brings over what changed, and nothing else", (t) => {
  const { from, to, mirror } = setUp(t);
  for (const name of ["same", "grows", "goes", "moves"]) writeFileSync(join(from, name), name);
  mkdirSync(join(from, "a"));
  mkdirSync(join(from, "b"));
  writeFileSync(join(from, "a/x"), "of a");
  writeFileSync(join(from, "b/x"), "of b");
  run(mirror);
  const before = statSync(join(to, "same")).ino;
  appendFileSync(join(from, "grows"), " more");
  rmSync(join(from, "goes"));
  renameSync(join(from, "moves"), join(from, "a/moved"));
  renameSync(join(from, "a"), join(from, "c"));
  renameSync(join(from, "b"), join(from, "a"));
  renameSync(join(from, "c"), join(from, "b"));
  run(mirror);
  assert.deepEqual(picture(to), picture(from));
  assert.equal(statSync(join(to, "same")).ino, before);
});

test("what becomes a link between two looks leads nowhere outside", (t) => {
  const { root, from, to, mirror } = setUp(t);
  const secret = join(root, "secret");
  mkdirSync(secret);
  writeFileSync(join(secret, "key"), "secret");
  for (let i = 0; i < 200; i++) mkdirSync(join(from, `d${i}`));
  const pass = mirror.pass();
  pass.next();
  for (let i = 0; i < 200; i++) {
    rmSync(join(from, `d${i}`), { recursive: true });
    symlinkSync(secret, join(from, `d${i}`));
  }
  for (const _ of pass);
  for (const entry of readdirSync(to, { withFileTypes: true }))
    assert.ok(entry.isSymbolicLink() || readdirSync(join(to, entry.name)).length === 0, entry.name);
});

/** Names from a small set, so that changes meet what is there. */
const name = fc.constantFrom("a", "b", "c", "d/x", "d/y", "e/f/z");
const change = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), name, text: fc.string({ maxLength: 20 }) }),
  fc.record({ kind: fc.constant("remove" as const), name }),
  fc.record({ kind: fc.constant("link" as const), name, to: name }),
  fc.record({ kind: fc.constant("folder" as const), name }),
);

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function apply(root: string, changes: readonly Change[]): void {
  for (const step of changes) {
    const path = join(root, step.name);
    try {
      if (step.kind === "remove") rmSync(path, { recursive: true, force: true });
      else mkdirSync(join(path, ".."), { recursive: true });
      if (step.kind === "write") writeFileSync(path, step.text);
      if (step.kind === "link") linkSync(join(root, step.to), path);
      if (step.kind === "folder") mkdirSync(path);
    } catch {}
  }
}

test("after two passes the mirror equals the tree, whatever happened in between", (t) => {
  const { root } = setUp(t);
  let count = 0;
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), fc.array(change, { maxLength: 12 }), (first, second) => {
      const [from, to] = [join(root, `from${count}`), join(root, `to${count++}`)];
      for (const folder of [from, to]) mkdirSync(folder);
      const mirror = new Mirror(from, to);
      apply(from, first);
      run(mirror);
      apply(from, second);
      run(mirror);
      assert.deepEqual(picture(to), picture(from));
    }),
    { numRuns: 150 },
  );
});
