import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { encode } from "../protobuf/encode.ts";
import { FileSync } from "../session/file-sync.ts";
import { DATA, FIN, Packet, STAT } from "../wire/session.ts";
import { frame, messagesOf } from "./frames.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function* cut(bytes: Buffer, lengths: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const length = lengths[index % lengths.length] ?? 1;
    yield Buffer.from(bytes.subarray(at, at + length));
    at += length;
  }
}

test("messages are whole again however they were cut", async () => {
  const bodies = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 5 });
  const lengths = fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(bodies, lengths, async (sizes, cuts) => {
      const sent = sizes.map((size) => randomBytes(size));
      const got = await Array.fromAsync(messagesOf(cut(Buffer.concat(sent.map(frame)), cuts)));
      assert.deepEqual(
        got.map((one) => one.toString("hex")),
        sent.map((one) => one.toString("hex")),
      );
    }),
    { numRuns: 30 },
  );
});

test("a message that comes byte by byte takes about its own size", async () => {
  const SIZE = 200_000;
  let most = 0;
  let sent = 0;
  async function* bytes(): AsyncGenerator<Buffer> {
    const before = process.memoryUsage();
    for (const byte of frame(Buffer.alloc(SIZE, 1))) {
      yield Buffer.from([byte]);
      if (++sent % 20_000 > 0) continue;
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      most = Math.max(most, heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers);
    }
  }
  for await (const message of messagesOf(bytes())) assert.equal(message.length, SIZE);
  assert.ok(most < 10 * SIZE, `${most} bytes`);
});

test("the streams of a connection share what they may hold", async () => {
  const budget = { left: 100 };
  const waiting = Promise.withResolvers<void>();
  async function* part(): AsyncGenerator<Buffer> {
    yield frame(Buffer.alloc(90)).subarray(0, 80);
    await waiting.promise;
  }
  const first = messagesOf(part(), budget).next();
  first.catch(() => {});
  await assert.rejects(messagesOf(part(), budget).next(), { kind: "too-large" });
  waiting.resolve();
  await assert.rejects(first, /ended within a message/);
  assert.equal(budget.left, 100);
});

test("a file that comes byte by byte before it is read is put together", async () => {
  const SIZE = 50_000;
  const data = randomBytes(SIZE);
  const packets = [
    ...["a", "b"].map((path, at) => ({ type: STAT, stat: { path, mode: 0o644, size: at === 0 ? 1 : SIZE } })),
    { type: STAT },
    ...Array.from(data, (byte) => ({ type: DATA, id: 1, data: Buffer.from([byte]) })),
    { type: DATA, id: 1 },
    { type: DATA, id: 0, data: Buffer.from("x") },
    { type: DATA, id: 0 },
    { type: FIN },
  ];
  async function* messages(): AsyncGenerator<Buffer> {
    for (const packet of packets) yield encode(Packet, packet);
  }
  const call = { messages, send: async () => {}, end: () => {} };
  const sync = new FileSync(call as unknown as ConstructorParameters<typeof FileSync>[0]);
  assert.equal((await Array.fromAsync(sync.lines())).length, 2);
  const pieces = await Array.fromAsync(sync.contents([0, 1]));
  assert.ok(Buffer.concat(pieces).equals(Buffer.concat([Buffer.from("x"), data])));
  assert.ok(pieces.length < 10, `${pieces.length} pieces`);
});
