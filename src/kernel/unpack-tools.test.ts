import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { type UnpackTool, unpackBy } from "./unpack-tools.ts";

const TOOLS: readonly UnpackTool[] = ["xz", "bzip2"];

async function* slices(bytes: Buffer, size = 10_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

for (const tool of TOOLS) {
  const packed = (bytes: Buffer) => execFileSync(tool, ["-c"], { input: bytes, maxBuffer: 1 << 26 });

  test(`${tool}: the plain bytes come out`, async () => {
    const plain = randomBytes(3 << 20);
    const got = Buffer.concat(await Array.fromAsync(unpackBy(tool, slices(packed(plain)))));
    assert.ok(got.equals(plain));
  });

  test(`${tool}: wrong and cut data is refused with the tool's words`, async () => {
    const cut = packed(randomBytes(50_000)).subarray(0, 20_000);
    await assert.rejects(Array.fromAsync(unpackBy(tool, slices(cut))), { kind: "invalid" });
    await assert.rejects(Array.fromAsync(unpackBy(tool, slices(Buffer.from("no such thing")))), { kind: "invalid" });
  });

  test(`${tool}: leaving early ends the tool, and a failing source is the error`, async () => {
    for await (const _chunk of unpackBy(tool, slices(packed(randomBytes(4 << 20))))) break;
    async function* broken(): AsyncGenerator<Buffer> {
      yield packed(Buffer.alloc(10)).subarray(0, 5);
      throw new Error("source broke");
    }
    await assert.rejects(Array.fromAsync(unpackBy(tool, broken())), /source broke/);
  });
}
