import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type Duplex, duplexPair } from "node:stream";
import { test } from "node:test";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { EngineError } from "./errors.ts";
import { bytesOf, Mux } from "./mux.ts";

function pair(onOpen: (channel: Duplex, purpose: unknown) => void): { client: Mux; server: Mux; wires: Duplex[] } {
  const [a, b] = duplexPair();
  const refuse = (channel: Duplex) => void channel.destroy();
  return {
    client: new Mux(a, { side: "client", onOpen: refuse }),
    server: new Mux(b, { side: "server", onOpen }),
    wires: [a, b],
  };
}

const read = async (stream: Duplex): Promise<Buffer> => Buffer.concat(await Array.fromAsync(bytesOf(stream)));

test("a channel says what it is for, carries bytes both ways, and each side may end first", async () => {
  const { client } = pair(async (channel, purpose) => {
    assert.deepEqual(purpose, { type: "echo", n: 1 });
    const all = await read(channel);
    channel.end(`heard ${all}`);
  });
  const channel = client.open({ type: "echo", n: 1 });
  channel.write("one ");
  channel.end("two");
  assert.equal(String(await read(channel)), "heard one two");
});

test("whatever is written in whatever pieces on however many channels arrives whole", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 6 }), { minLength: 1, maxLength: 5 }),
      async (channels) => {
        const { client, server } = pair((channel) => channel.pipe(channel));
        await Promise.all(
          channels.map(async (sizes) => {
            const channel = client.open("echo");
            const sent = sizes.map((size) => randomBytes(size));
            const back = read(channel);
            for (const part of sent) if (!channel.write(part)) await new Promise((go) => channel.once("drain", go));
            channel.end();
            assert.ok((await back).equals(Buffer.concat(sent)));
          }),
        );
        client.close();
        await server.closed;
      },
    ),
    { numRuns: 25 },
  );
});

test("a channel whose reader waits holds up no other, and holds no more than its window", async () => {
  const stuck: Duplex[] = [];
  const { client } = pair((channel, purpose) => {
    if (purpose === "stuck") stuck.push(channel);
    else channel.pipe(channel);
  });
  const slow = client.open("stuck");
  let written = 0;
  void (async () => {
    for (let i = 0; i < 200; i++) {
      if (!slow.write(Buffer.alloc(100_000))) await new Promise((go) => slow.once("drain", go));
      written += 100_000;
    }
    slow.end();
  })();
  const quick = client.open("echo");
  const hash = createHash("sha256");
  const data = randomBytes(3 << 20);
  quick.end(data);
  for await (const chunk of quick as AsyncIterable<Buffer>) hash.update(chunk);
  assert.equal(hash.digest("hex"), createHash("sha256").update(data).digest("hex"));
  assert.ok(written < 4 << 20, String(written));
  assert.equal((await read(stuck[0] as Duplex)).length, 20_000_000);
});

test("what comes of a frame is handed on at once, and as it came", async () => {
  const [near, far] = duplexPair();
  const { promise, resolve } = Promise.withResolvers<Duplex>();
  new Mux(far, { side: "server", onOpen: resolve });
  const frame = (type: number, length: number, payload: Uint8Array) => {
    const header = Buffer.alloc(9);
    header.writeUInt8(type, 0);
    header.writeUInt32BE(1, 1);
    header.writeUInt32BE(length, 5);
    return Buffer.concat([header, payload]);
  };
  near.write(frame(0, 2, Buffer.from("{}")));
  const channel = await promise;
  const pieces: Buffer[] = [];
  channel.on("data", (piece: Buffer) => pieces.push(piece));
  const write = async (bytes: Buffer, count: number) => {
    near.write(bytes);
    while (pieces.length < count) await nextTurn();
  };
  const apart = (bytes: Buffer) => Buffer.from(new Uint8Array(bytes).buffer);
  const first = apart(frame(1, 60_000, randomBytes(30_000)));
  await write(first, 1);
  assert.ok(pieces[0]?.equals(first.subarray(9)));
  assert.ok(pieces[0]?.buffer === first.buffer, "it was not copied");
  const rest = apart(randomBytes(30_000));
  await write(rest.subarray(0, 10), 2);
  assert.ok(pieces[1]?.equals(rest.subarray(0, 10)));
  assert.ok(pieces[1]?.buffer !== rest.buffer, "few bytes do not keep the chunk that they came in");
  const end = once(channel, "end");
  await write(Buffer.concat([rest.subarray(10), frame(2, 0, Buffer.alloc(0))]), 3);
  assert.ok(pieces[2]?.equals(rest.subarray(10)));
  await end;
});

test("an error of one side is the other's error, with its kind and hint", async () => {
  const { client } = pair((channel, purpose) => {
    if (purpose === "throw") throw new EngineError("invalid", "no such thing");
    channel.destroy(new EngineError("not-found", "secret x not found", { hint: "give it" }));
  });
  await assert.rejects(read(client.open("x")), { kind: "not-found", message: "secret x not found", hint: "give it" });
  await assert.rejects(read(client.open("throw")), { kind: "invalid", message: "no such thing" });
});

test("when the connection goes, every channel is cancelled, readers and writers", async () => {
  const { client, server, wires } = pair(() => {});
  const reading = client.open("a");
  const writing = client.open("b");
  const failed = assert.rejects(read(reading), { kind: "cancelled" });
  writing.write(Buffer.alloc(5 << 20));
  const broken = new Promise((resolve) => writing.once("error", resolve));
  await sleep(5);
  wires[0]?.destroy();
  wires[1]?.destroy();
  await failed;
  assert.equal(((await broken) as EngineError).kind, "cancelled");
  await Promise.all([client.closed, server.closed]);
  await assert.rejects(read(client.open("late")), { kind: "cancelled" });
});

test("nonsense ends the connection, and nothing else", async () => {
  for (const bytes of [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Buffer.from([0, 0, 0, 0, 2, 0, 0, 0, 2, 0x22, 0x22]),
    Buffer.from([1, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff]),
  ]) {
    const [a, b] = duplexPair();
    const server = new Mux(b, { side: "server", onOpen: () => {} });
    a.on("error", () => {});
    a.write(bytes);
    await server.closed;
  }
});
