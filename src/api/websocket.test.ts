import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { startApi } from "../testing/api-harness.ts";
import { FrameReader, FrameStripper } from "./websocket.ts";

const MASK = Buffer.from([1, 2, 3, 4]);
const masked = (opcode: number, payload: Buffer, fin = true): Buffer => {
  const length =
    payload.length < 126
      ? [payload.length]
      : payload.length < 65536
        ? [126, payload.length >> 8, payload.length & 255]
        : undefined;
  if (length === undefined) throw new Error("too long for this test");
  const [first = 0, ...extra] = length;
  const body = payload.map((byte, index) => byte ^ (MASK[index & 3] ?? 0));
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, 0x80 | first, ...extra]), MASK, body]);
};

test("a websocket carries the container's streams without the log frames' headers", async (t) => {
  const { connect } = await startApi(t, {
    containers: {
      attach: () =>
        Promise.resolve({
          raw: false,
          run: (client: Duplex) =>
            new Promise<void>((resolve) => {
              client.on("data", (chunk: Buffer) =>
                client.write(Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, chunk.length]), chunk])),
              );
              client.once("end", () => resolve());
              client.once("close", () => resolve());
            }),
        }),
    },
  });
  const client = connect();
  const handshake =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  client.write(`GET /containers/a/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n${handshake}\r\n`);
  await client.until("\r\n\r\n");
  assert.match(client.received, /^HTTP\/1\.1 101 [\s\S]*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  client.write(masked(2, Buffer.from("hello")));
  await client.until("\u0082\u0005hello");
  client.write(masked(9, Buffer.from("?")));
  await client.until("\u008a\u0001?");
  client.write(masked(8, Buffer.alloc(0)));
  await client.until("\u0088\u0002\u0003\u00e8");
  client.end();
  await client.ended;
});

test("what is no websocket handshake is refused", async (t) => {
  const { ask } = await startApi(t, {
    containers: { attach: () => Promise.resolve({ raw: true, run: () => Promise.resolve() }) },
  });
  assert.equal((await ask("/containers/a/attach/ws")).status, 400);
});

test("frames are read alike however they are cut", () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(frames, fc.array(fc.nat(1000)), (payloads, cuts) => {
      const bytes = Buffer.concat(payloads.map((payload) => masked(2, Buffer.from(payload))));
      const points = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      const reader = new FrameReader();
      const out = points.slice(1).flatMap((end, index) => [...reader.read(bytes.subarray(points[index], end))]);
      assert.deepEqual(Buffer.concat(out.map(({ payload }) => payload)), Buffer.concat(payloads));
    }),
  );
});

test("hostile frames are errors, never a hang or a large buffer", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        for (const { payload } of new FrameReader().read(Buffer.from(bytes))) assert.ok(payload.length <= bytes.length);
      } catch (error) {
        assert.match((error as Error).message, /^bad websocket/);
      }
    }),
    { numRuns: 500 },
  );
});

test("log frames' headers are removed however they are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), fc.integer({ min: 1, max: 20 }), (payloads, step) => {
      const bytes = Buffer.concat(
        payloads.flatMap((payload) => [Buffer.from([1, 0, 0, 0, 0, 0, 0, payload.length]), payload]),
      );
      const stripper = new FrameStripper();
      const out: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += step) out.push(stripper.strip(bytes.subarray(at, at + step)));
      assert.deepEqual(Buffer.concat(out), Buffer.concat(payloads));
    }),
  );
});
