import assert from "node:assert/strict";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { NewFiles } from "./new-files.ts";

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "gantry-new-files-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const PLAIN = { mode: 0o644, chmod: undefined, owner: undefined, atimeNs: 1n, mtimeNs: 2n };

test("a thousand files are there when it is settled, each with its bytes, mode, owner and time", async (t) => {
  const folder = place(t);
  const files = new NewFiles();
  const data = Buffer.alloc(5000);
  for (let i = 0; i < 1000; i++) {
    data.fill(i);
    files.add({
      path: join(folder, `ä ${i}`),
      data: data.subarray(0, i * 5),
      mode: 0o600,
      chmod: i % 2 === 0 ? 0o4755 : undefined,
      owner: process.getuid?.() === 0 && i % 3 === 0 ? { uid: i, gid: 7 } : undefined,
      atimeNs: 5n,
      mtimeNs: -1_000_000_000n * BigInt(i) + 1n,
    });
    await files.room;
  }
  await files.settled();
  for (const i of [0, 1, 2, 127, 128, 129, 999]) {
    const path = join(folder, `ä ${i}`);
    const stats = lstatSync(path, { bigint: true });
    assert.deepEqual(readFileSync(path), Buffer.alloc(i * 5, i));
    assert.equal(stats.mode & 0o7777n, i % 2 === 0 ? 0o4755n : 0o600n);
    assert.equal(stats.mtimeNs, -1_000_000_000n * BigInt(i) + 1n);
    if (process.getuid?.() === 0) assert.equal(stats.uid, i % 3 === 0 ? BigInt(i) : 0n);
  }
  assert.equal(readdirSync(folder).length, 1000);
});

test("the first error is kept until someone asks, what is there is not touched, and it can be used again", async (t) => {
  const folder = place(t);
  const there = join(folder, "there");
  writeFileSync(there, "old");
  const files = new NewFiles();
  files.add({ ...PLAIN, path: there, data: Buffer.from("new") });
  await assert.rejects(files.settled(), { code: "EEXIST", message: /there/ });
  files.add({ ...PLAIN, path: join(folder, "no/such"), data: Buffer.alloc(0) });
  await assert.rejects(files.settled(), { code: "ENOENT" });
  files.add({ ...PLAIN, path: join(folder, "last"), data: Buffer.from("x") });
  await files.settled();
  assert.equal(readFileSync(there, "utf8"), "old");
  assert.deepEqual(readdirSync(folder).sort(), ["last", "there"]);
});
