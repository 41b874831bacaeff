import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { bindSocket } from "./netns.ts";
import { type Sender, UdpServer } from "./udp.ts";

const ADDRESS = Uint8Array.of(127, 0, 0, 1);

async function client(): Promise<Socket & Disposable> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.close() });
}

/** A port that is free for a moment. */
async function freePort(): Promise<number> {
  using socket = await client();
  return socket.address().port;
}

test("a packet is answered at once out of the buffer, or later, or not at all", async () => {
  const port = await freePort();
  const seen: Sender[] = [];
  const server = new UdpServer({
    fd: bindSocket({ type: "datagram", address: ADDRESS, port }),
    onPacket: (packet, length, from, answer) => {
      seen.push({ ...from });
      const text = packet.toString("latin1", 0, length);
      if (text === "later") setImmediate((to) => server.send(Buffer.from("it is later"), to), { ...from });
      return text === "now" || length > 60_000 || length === 0 ? answer.write(`${length} bytes`) : 0;
    },
  });
  using socket = await client();
  const ask = async (bytes: Buffer) => {
    socket.send(bytes, port, "127.0.0.1");
    return String((await once(socket, "message"))[0]);
  };
  assert.equal(await ask(Buffer.from("now")), "3 bytes");
  assert.equal(await ask(Buffer.from("later")), "it is later");
  assert.equal(await ask(Buffer.alloc(65_000)), "65000 bytes");
  assert.equal(await ask(Buffer.alloc(0)), "0 bytes");
  socket.send("not at all", port, "127.0.0.1");
  assert.equal(await ask(Buffer.from("now")), "3 bytes");
  const from = { host: 0x7f000001, port: socket.address().port };
  assert.deepEqual(new Set(seen.map((sender) => JSON.stringify(sender))), new Set([JSON.stringify(from)]));
  server.close();
  server.close();
  server.send(Buffer.from("nothing"), from);
});

test("a server that is closed by a packet gives its port back, and answers no more", async () => {
  const port = await freePort();
  using socket = await client();
  for (let round = 0; round < 20; round++) {
    let packets = 0;
    const done = Promise.withResolvers<void>();
    const server = new UdpServer({
      fd: bindSocket({ type: "datagram", address: ADDRESS, port }),
      onPacket: () => {
        packets++;
        server.close();
        done.resolve();
        return 5;
      },
    });
    socket.once("message", () => assert.fail("an answer"));
    for (let sent = 0; sent < 10; sent++) socket.send("stop", port, "127.0.0.1");
    await done.promise;
    await new Promise(setImmediate);
    assert.equal(packets, 1);
    socket.removeAllListeners("message");
  }
});
