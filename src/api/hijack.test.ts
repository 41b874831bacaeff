import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import { EngineError } from "../base/errors.ts";
import type { PreparedAttach } from "../containers/containers.ts";
import { eventually, startApi } from "../testing/api-harness.ts";

/** Sends back what it gets, and "bye" after the client's half is closed. */
const echo = (raw = false): PreparedAttach => ({
  raw,
  run: (client: Duplex) =>
    new Promise((resolve) => {
      client.on("data", (chunk: Buffer) => client.write(`<${String(chunk)}>`));
      client.once("end", () => client.write("bye", () => resolve()));
      client.once("close", () => resolve());
    }),
});

const attach = () => Promise.resolve(echo());
const UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
const post = (url: string, headers = "", body = "") => `POST ${url} HTTP/1.1\r\nHost: x\r\n${headers}\r\n${body}`;
const bodyOf = (text: string) => text.slice(text.indexOf("\r\n\r\n") + 4);
const statusOf = (text: string) => text.split("\r\n", 1)[0];

test("attach with Upgrade answers 101 and carries both directions after the client's half-close", async (t) => {
  const { connect } = await startApi(t, { containers: { attach } });
  const client = connect();
  client.write(post("/v1.51/containers/a/attach?stream=1&stdin=1&stdout=1", UPGRADE));
  await client.until("\r\n\r\n");
  assert.match(client.received, /^HTTP\/1\.1 101 UPGRADED\r\n/);
  assert.match(client.received, /\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n/);
  assert.match(client.received, /Content-Type: application\/vnd\.docker\.multiplexed-stream\r\n/);
  assert.match(client.received, /api-version: 1\.51\r\n/i);
  client.write("one");
  await client.until("<one>");
  client.end("two");
  await client.ended;
  assert.match(client.received, /<two>bye$/);
});

test("attach without Upgrade answers 200 and the same bytes", async (t) => {
  const { connect } = await startApi(t, { containers: { attach } });
  const client = connect();
  client.write(post("/containers/a/attach", "Content-Type: text/plain\r\n"));
  await client.until("\r\n\r\n");
  assert.match(client.received, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/vnd\.docker\.multiplexed-stream\r\n/);
  assert.doesNotMatch(client.received, /Upgrade/);
  client.write("GET / HTTP/1.1\r\n\r\n");
  await client.until("<GET / HTTP/1.1\r\n\r\n>");
  client.end();
  await client.ended;
  assert.match(client.received, />bye$/);
});

for (const [name, headers] of [
  ["with", UPGRADE],
  ["without", ""],
] as const)
  test(`bytes that came in one packet with the request are not lost, ${name} Upgrade`, async (t) => {
    let run: () => void = () => {};
    const prepared = new Promise<void>((resolve) => {
      run = resolve;
    });
    const { connect } = await startApi(t, { containers: { attach: () => prepared.then(() => echo()) } });
    const client = connect();
    client.end(post("/containers/a/attach", headers, "early\n"));
    setTimeout(run, 20);
    await client.ended;
    assert.equal(bodyOf(client.received), "<early\n>bye");
  });

test("the content type follows the version and the terminal", async (t) => {
  const { connect } = await startApi(t, { containers: { attach: (name) => Promise.resolve(echo(name === "tty")) } });
  for (const [url, type] of [
    ["/v1.41/containers/a/attach", "raw"],
    ["/v1.42/containers/a/attach", "multiplexed"],
    ["/v1.51/containers/tty/attach", "raw"],
  ] as const) {
    const client = connect();
    client.end(post(url, UPGRADE));
    await client.ended;
    assert.match(client.received, new RegExp(`Content-Type: application/vnd\\.docker\\.${type}-stream\r\n`), url);
  }
});

test("a failed attach is an ordinary error answer, with and without Upgrade", async (t) => {
  const { connect } = await startApi(t, {
    containers: { attach: () => Promise.reject(new EngineError("not-found", "No such container: a")) },
  });
  for (const headers of [UPGRADE, ""]) {
    const client = connect();
    client.write(post("/containers/a/attach", headers));
    await client.ended;
    assert.equal(statusOf(client.received), "HTTP/1.1 404 Not Found");
    assert.equal(bodyOf(client.received), '{"message":"No such container: a"}\n');
  }
});

test("exec start reads its body before the stream begins, however the packets are cut", async (t) => {
  const seen: unknown[] = [];
  const { connect } = await startApi(t, {
    containers: {
      execStart: (id, request) => {
        seen.push([id, request]);
        return Promise.resolve(request.Detach === true ? undefined : echo(request.Tty));
      },
    },
  });
  const body = '{"Detach":false,"Tty":true}';
  const json = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  for (const headers of [UPGRADE + json, json]) {
    const whole = post("/exec/e/start", headers, `${body}input`);
    for (const cut of [whole.length, whole.indexOf("Detach"), whole.indexOf("input")]) {
      const client = connect();
      client.write(whole.slice(0, cut));
      await new Promise((resolve) => setTimeout(resolve, 10));
      client.end(whole.slice(cut));
      await client.ended;
      assert.match(client.received, /vnd\.docker\.raw-stream/);
      assert.equal(
        bodyOf(client.received).replaceAll("><", ""),
        "<input>bye",
        `cut at ${cut} of ${JSON.stringify(whole)}`,
      );
    }
  }
  assert.deepEqual(seen, Array(6).fill(["e", { Detach: false, Tty: true, ConsoleSize: undefined }]));
});

test("a detached exec is answered without a stream, also to a client that asks for an upgrade", async (t) => {
  const { connect } = await startApi(t, { containers: { execStart: () => Promise.resolve(undefined) } });
  const client = connect();
  client.write(
    post("/exec/e/start", `${UPGRADE}Content-Type: application/json\r\nContent-Length: 15\r\n`, '{"Detach":true}'),
  );
  await client.ended;
  assert.equal(statusOf(client.received), "HTTP/1.1 200 OK");
});

test("what fails after the headers is told in the stream", async (t) => {
  const run = () => Promise.reject(new EngineError("invalid", "exec failed"));
  const { connect } = await startApi(t, {
    containers: { attach: (name) => Promise.resolve({ raw: name === "tty", run }) },
  });
  for (const [name, expected] of [
    ["tty", "exec failed\r\n"],
    ["a", "\u0002\0\0\0\0\0\0\rexec failed\r\n"],
  ] as const) {
    const client = connect();
    client.write(post(`/containers/${name}/attach`, UPGRADE));
    await client.ended;
    assert.equal(bodyOf(client.received), expected);
  }
});

test("other routes ignore an Upgrade header", async (t) => {
  const { connect } = await startApi(t);
  const client = connect();
  client.end("GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  await client.ended;
  assert.equal(statusOf(client.received), "HTTP/1.1 200 OK");
});

test("a client that goes away at any moment ends its stream and nothing else", async (t) => {
  let running = 0;
  const { connect, ask } = await startApi(t, {
    containers: {
      attach: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return {
          raw: true,
          run: (client) => {
            running += 1;
            const ticks = setInterval(() => client.write("tick"), 1);
            return new Promise<void>((resolve) =>
              client.once("close", () => {
                clearInterval(ticks);
                running -= 1;
                resolve();
              }),
            );
          },
        };
      },
    },
  });
  const request = post("/containers/a/attach", UPGRADE);
  for (const bytes of [10, request.length - 3, request.length])
    for (const wait of [0, 3, 20]) {
      const client = connect();
      client.write(request.slice(0, bytes));
      await new Promise((resolve) => setTimeout(resolve, wait));
      client.socket.destroy();
    }
  await eventually(() => running === 0);
  assert.equal((await ask("/_ping")).status, 200);
});
