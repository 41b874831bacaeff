/** Attaching over a websocket, by a client that is not ours, and attaching while others do. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";

let daemon: TestDaemon;
let address: string;

before(async () => {
  address = `127.0.0.1:${await freePort()}`;
  daemon = await startDaemon({ flags: ["-H", `tcp://${address}`, "--tls=false"] });
});
after(() => daemon[Symbol.asyncDispose]());

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}

async function start(script: string, options: object = {}): Promise<string> {
  const body = { Image: "busybox", Cmd: ["sh", "-c", script], OpenStdin: true, ...options };
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", body);
  await daemon.call("POST", `/containers/${Id}/start`);
  return Id;
}

/** Node's own client, and what it was told. */
class Attached {
  readonly socket: WebSocket;
  text = "";
  readonly closed: Promise<number>;
  #changed: () => void = () => {};

  constructor(id: string, query: string) {
    this.socket = new WebSocket(`ws://${address}/v1.51/containers/${id}/attach/ws?${query}`);
    this.socket.binaryType = "arraybuffer";
    const decoder = new TextDecoder();
    this.socket.addEventListener("message", ({ data }) => {
      this.text += typeof data === "string" ? data : decoder.decode(data as ArrayBuffer, { stream: true });
      this.#changed();
    });
    this.closed = new Promise((resolve) => this.socket.addEventListener("close", ({ code }) => resolve(code)));
    this.socket.addEventListener("error", () => this.#changed());
  }

  async until(text: string): Promise<void> {
    while (!this.text.includes(text)) await new Promise<void>((resolve) => (this.#changed = resolve));
  }
}

test("a websocket carries input and output, with the log before them, without a gap", async () => {
  const id = await start(
    "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; while read x; do echo got $x; done",
  );
  const client = new Attached(id, "logs=1&stream=1&stdin=1&stdout=1&stderr=1");
  await client.until("1999\n");
  client.socket.send("text\n");
  await client.until("got text\n");
  client.socket.send(new TextEncoder().encode("bytes\n"));
  await client.until("got bytes\n");
  const numbers = Array.from({ length: 2000 }, (_, i) => `${i}\n`).join("");
  assert.equal(client.text, `${numbers}got text\ngot bytes\n`);
  await daemon.call("DELETE", `/containers/${id}?force=1`);
  assert.equal(await client.closed, 1000);
});

test("several websockets and an ordinary client see the same, and one that leaves disturbs nobody", async () => {
  const id = await start("while read x; do echo got $x; done");
  const query = "stream=1&stdin=1&stdout=1&stderr=1";
  const [first, second, leaving] = [new Attached(id, query), new Attached(id, query), new Attached(id, query)];
  await Promise.all(
    [first, second, leaving].map(({ socket }) => new Promise((resolve) => socket.addEventListener("open", resolve))),
  );
  // The daemon has joined them when they hear of what they send.
  for (const client of [first, second, leaving]) {
    client.socket.send("here\n");
    await client.until("got here\n");
  }
  leaving.socket.close();
  await leaving.closed;
  first.socket.send("one\n");
  second.socket.send("two\n");
  for (const client of [first, second]) {
    await client.until("got one\n");
    await client.until("got two\n");
  }
  await daemon.call("DELETE", `/containers/${id}?force=1`);
});

test("a terminal's bytes and the detach keys work over a websocket too", async () => {
  const id = await start("stty -echo; while read x; do echo got $x; done", { Tty: true });
  const client = new Attached(id, "stream=1&stdin=1&stdout=1&detachKeys=ctrl-x,x");
  await new Promise((resolve) => client.socket.addEventListener("open", resolve));
  client.socket.send("hello\n");
  await client.until("got hello\r\n");
  client.socket.send("\x18x");
  assert.equal(await client.closed, 1000);
  const { State } = await daemon.call<{ State: { Running: boolean } }>("GET", `/containers/${id}/json`);
  assert.equal(State.Running, true);
  await daemon.call("DELETE", `/containers/${id}?force=1`);
});

test("a container that is not there refuses the handshake", async () => {
  const client = new Attached("nobody", "stream=1");
  assert.notEqual(await client.closed, 1000);
});
