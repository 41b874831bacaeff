import assert from "node:assert/strict";
import { test } from "node:test";
import { releaseMemory } from "./release.ts";

test("a chunk of its own is given back, and a second time does no harm", () => {
  const chunk = Buffer.allocUnsafeSlow(1 << 16);
  releaseMemory(chunk);
  assert.equal(chunk.length, 0);
  releaseMemory(chunk);
});

test("the later part of a buffer takes the buffer along, an earlier part does not", () => {
  const buffer = Buffer.alloc(1000, 1);
  releaseMemory(buffer.subarray(0, 900));
  assert.equal(buffer[999], 1);
  releaseMemory(buffer.subarray(100));
  assert.equal(buffer.length, 0);
});

test("what Buffer's pool gave is never given back", () => {
  const small = Array.from({ length: 100 }, (_, at) => Buffer.from(`${at}`.repeat(1 + at * 20)));
  const pooled = small.filter(({ buffer }) => buffer.byteLength >= Buffer.poolSize);
  assert.ok(pooled.length > 0);
  const before = pooled.map(String);
  for (const chunk of pooled) releaseMemory(chunk);
  assert.deepEqual(pooled.map(String), before);
});

test("shared memory stays", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  releaseMemory(shared);
  assert.equal(shared.length, 8);
});
