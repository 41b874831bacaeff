/** After a power cut: what a blob's marker of another boot makes the next writer do. */
import assert from "node:assert/strict";
import { chmodSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";

const fileOf = ({ root }: TestRegistry, digest: string) =>
  join(root, "blobs", "sha256", digest.slice(7, 9), digest.slice(7));
const markerOf = ({ root }: TestRegistry, digest: string) => join(root, "unsynced", digest.replace(":", "-"));

test("once a manifest is answered for, none of its blobs is waiting for the disk", async () => {
  await using registry = await startRegistry();
  await registry.pushImage("a", "v1", "x".repeat(3_000_000));
  assert.deepEqual(readdirSync(join(registry.root, "unsynced")), []);
});

test("a blob that lost bytes with the power is not shown; a whole one is; a kill alone costs nothing", async () => {
  await using first = await startRegistry();
  const [torn, whole, killed] = [
    await first.pushBlob("a", "torn ".repeat(1000)),
    await first.pushBlob("a", "whole ".repeat(1000)),
    await first.pushBlob("a", "killed ".repeat(1000)),
  ];
  await first.registry[Symbol.asyncDispose]();
  for (const { digest } of [torn, whole]) writeFileSync(markerOf(first, digest), "another boot");
  chmodSync(fileOf(first, torn.digest), 0o600);
  truncateSync(fileOf(first, torn.digest), 0);
  await using second = await startRegistry({ root: first.root });
  const status = async (digest: string) => (await second.fetch("GET", `/v2/a/blobs/${digest}`)).status;
  assert.equal(await status(torn.digest), 404);
  assert.equal(await status(whole.digest), 200);
  assert.equal(await status(killed.digest), 200);
  await second.pushBlob("a", "torn ".repeat(1000));
  assert.equal(await status(torn.digest), 200);
  await second.registry[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(join(first.root, "unsynced")), []);
});
