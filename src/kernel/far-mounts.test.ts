import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { errnoOf } from "../base/errors.ts";
import { mountSilence } from "../testing/silent-file-system.ts";
import { isEmptyFar, mountFar, unmountFar } from "./far-mounts.ts";
import { isMountPoint, mountTable } from "./mounts.ts";

const skip = process.getuid?.() !== 0 && "needs root";
const noFuse = skip || (!existsSync("/dev/fuse") && "the kernel has no FUSE");
const code = (expected: string) => (error: unknown) => errnoOf(error) === expected;

async function place(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-far-"));
  t.after(async () => {
    await unmountFar(join(folder, "a b"));
    rmSync(folder, { recursive: true, force: true });
  });
  mkdirSync(join(folder, "a b"));
  return join(folder, "a b");
}

test("a mount by another process is as one by this", { skip }, async (t) => {
  const target = await place(t);
  await mountFar({ source: "x y", target, type: "tmpfs", flags: ["nosuid", "ro"], data: "size=64k,uid=7" });
  const { type, source, options = [] } = mountTable().find((entry) => entry.target === target) ?? {};
  assert.deepEqual([type, source], ["tmpfs", "x y"]);
  for (const option of ["ro", "nosuid", "size=64k", "uid=7"]) assert.ok(options.includes(option), option);
  assert.equal(await unmountFar(target), true);
  assert.equal(await unmountFar(target), false);
  await assert.rejects(mountFar({ source: "x", target, type: "nosuchfs" }), code("ENODEV"));
  await assert.rejects(mountFar({ source: "x", target: `${target}/none`, type: "tmpfs" }), code("ENOENT"));
});

test("a folder is looked into", { skip }, async (t) => {
  const folder = await place(t);
  assert.equal(await isEmptyFar(folder), true);
  writeFileSync(join(folder, ".hidden"), "");
  assert.equal(await isEmptyFar(folder), false);
  await assert.rejects(isEmptyFar(join(folder, "none")), code("ENOENT"));
});

test("a call that the kernel does not answer is given up in time, or when nobody wants it any more", {
  skip: noFuse,
}, async (t) => {
  const target = await place(t);
  using silence = mountSilence();
  await assert.rejects(isEmptyFar(silence.folder, { timeoutMs: 200 }), code("ETIMEDOUT"));
  const bind = { source: join(silence.folder, "x"), target, flags: ["bind"] as const };
  await assert.rejects(mountFar(bind, { timeoutMs: 200 }), code("ETIMEDOUT"));
  const late = mountFar(bind, { signal: AbortSignal.timeout(200) });
  await assert.rejects(late, { name: "TimeoutError" });
  assert.equal(isMountPoint(target), false);
});
