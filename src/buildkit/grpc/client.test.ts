import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { GrpcClient } from "./client.ts";

test("a connection that is over at once closes the client, and throws nothing behind anyone's back", async (t) => {
  const server = createServer((socket) => socket.on("error", () => {}).resume());
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  for (const isOverBefore of [true, false]) {
    const connection = connect(address.port, "127.0.0.1");
    await once(connection, "connect");
    if (isOverBefore) connection.destroy();
    const client = new GrpcClient(connection);
    connection.destroy();
    await client.closed;
  }
  // What is thrown in a handler comes in a turn of its own.
  await sleep(10);
});
