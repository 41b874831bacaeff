import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startApi } from "../testing/api-harness.ts";

const request = (length: number) => `POST /plugins/none/set HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;

test("a client that sends its body late has its answer after it, and may ask again", async (t) => {
  const { connect } = await startApi(t);
  const client = connect();
  client.write(request(4));
  await sleep(50);
  assert.equal(client.received, "");
  client.write("late");
  await client.until('plugin \\"none\\" not found');
  assert.match(client.received, /^HTTP\/1\.1 404 /);
  client.write("GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n");
  await client.until("OK");
  client.socket.destroy();
});

test("a client that sends much reads why it was in vain, and can send on meanwhile", async (t) => {
  const { connect } = await startApi(t);
  const client = connect();
  const errors: Error[] = [];
  client.socket.on("error", (error) => errors.push(error));
  client.write(request(1 << 30));
  const sending = setInterval(() => client.write(Buffer.alloc(64 << 10)), 1);
  await client.until("not found");
  clearInterval(sending);
  assert.match(client.received, /Connection: close/i);
  await client.ended;
  assert.deepEqual(errors, []);
});

test("a client that says a body and sends none is answered all the same", async (t) => {
  const { connect } = await startApi(t);
  const client = connect();
  client.write(request(10));
  await client.until("not found");
  await client.ended;
});
