import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { gzip } from "./gzip.ts";

async function* pieces(data: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}
const packed = async (data: Buffer, size: number) => Buffer.concat(await Array.fromAsync(gzip(pieces(data, size))));

test("what was packed comes out again, the same bytes however it was cut", async () => {
  const text = Buffer.from("all work and no play makes jack a dull boy\n".repeat(60_000));
  const data = Buffer.concat([text, randomBytes(1 << 20), text]);
  for (const length of [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, data.length]) {
    const whole = data.subarray(0, length);
    const one = await packed(whole, 65536);
    assert.ok(gunzipSync(one).equals(whole), `${length} bytes`);
    assert.ok(one.equals(await packed(whole, 999_983)), `${length} bytes in other pieces`);
  }
});

test("any small input", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), fc.integer({ min: 1, max: 700 }), async (bytes, size) => {
      assert.ok(gunzipSync(await packed(Buffer.from(bytes), size)).equals(bytes));
    }),
    { numRuns: 50 },
  );
});

test("a source that fails fails the packing", async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(3 << 20);
    throw new Error("cut");
  }
  await assert.rejects(Array.fromAsync(gzip(broken())), /cut/);
});
