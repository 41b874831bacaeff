import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { EngineError } from "../base/errors.ts";
import { containersClient } from "./containers.ts";
import { createTransport, queryText, readText, type Transport } from "./transport.ts";

const folder = mkdtempSync(join(tmpdir(), "gantry-client-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

/** A server whose every connection is the script's. */
async function serve(
  script: (socket: Socket, index: number) => void,
): Promise<{ transport: Transport } & AsyncDisposable> {
  const path = join(folder, `${++count}.sock`);
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    script(socket, connections++);
  });
  server.listen(path);
  await once(server, "listening");
  return {
    transport: createTransport({ endpoint: { kind: "unix", path } }),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Resolves with what came until the blank line. */
async function head(socket: Socket): Promise<string> {
  let text = "";
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) await once(socket, "readable");
    else text += chunk.toString("latin1");
    if (text.includes("\r\n\r\n")) return text;
  }
}

const answer = (status: string, body: string) =>
  `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

const failsWith = (kind: string, message: RegExp) => (error: EngineError) => {
  assert.equal(error.kind, kind);
  assert.match(error.message, message);
  return true;
};

describe("answers", () => {
  test("chunked bodies are put together wherever the pieces are cut", async () => {
    const wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel\r\n\r\n3;x=y\r\nlo!\r\n0\r\n\r\n";
    for (const size of [1, 2, 3, 7, wire.length]) {
      await using server = await serve(async (socket) => {
        await head(socket);
        for (let at = 0; at < wire.length; at += size) {
          socket.write(wire.slice(at, at + size));
          await turn();
        }
      });
      assert.equal(await server.transport.text("GET", "/x"), "hel\r\nlo!");
    }
  });

  test("a body without a length ends with the connection", async () => {
    await using server = await serve(async (socket) => {
      await head(socket);
      socket.end("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    assert.equal(await server.transport.text("GET", "/x"), "until the end");
  });

  test("interim answers are passed over", async () => {
    await using server = await serve(async (socket) => {
      await head(socket);
      socket.write(`HTTP/1.1 100 Continue\r\n\r\n${answer("200 OK", '{"a":1}')}`);
    });
    assert.deepEqual(await server.transport.json("GET", "/x"), { a: 1 });
  });

  test("a body that is cut off is an error, with a length and in chunks", async () => {
    for (const wire of ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\na\r\nabc"]) {
      await using server = await serve(async (socket) => {
        await head(socket);
        socket.end(`HTTP/1.1 200 OK\r\n${wire}`);
      });
      await assert.rejects(server.transport.text("GET", "/x"), failsWith("unavailable", /unexpected EOF/));
    }
  });

  test("a connection that closes without an answer, and an answer that is no HTTP, are told", async () => {
    for (const [wire, kind, message] of [
      ["", "unavailable", /closed the connection without an answer/],
      ["HTTP/1.1 200", "unavailable", /closed the connection without an answer/],
      ["SSH-2.0-x\r\n\r\n", "internal", /no HTTP response/],
    ] as const) {
      await using server = await serve(async (socket) => {
        await head(socket);
        socket.end(wire);
      });
      await assert.rejects(server.transport.text("GET", "/x"), failsWith(kind, message));
    }
  });
});

describe("errors", () => {
  test("the status gives the kind, the body the message and the hint", async () => {
    for (const [status, kind] of [
      ["304 Not Modified", "not-modified"],
      ["400 Bad Request", "invalid"],
      ["404 Not Found", "not-found"],
      ["409 Conflict", "conflict"],
      ["418 Teapot", "invalid"],
      ["500 Oops", "internal"],
      ["501 Not Implemented", "not-implemented"],
      ["503 Unavailable", "unavailable"],
    ] as const) {
      await using server = await serve(async (socket) => {
        await head(socket);
        socket.end(answer(status, '{"message":"No such thing: x\\n","hint":"Make one."}'));
      });
      await assert.rejects(server.transport.text("GET", "/x"), (error: EngineError) => {
        assert.equal(error.kind, kind);
        if (kind !== "not-modified") assert.deepEqual([error.message, error.hint], ["No such thing: x", "Make one."]);
        return true;
      });
    }
  });

  test("nobody there is unavailable, and is asked once more when somebody was started", async () => {
    const path = join(folder, "nobody.sock");
    await assert.rejects(
      createTransport({ endpoint: { kind: "unix", path } }).text("GET", "/x"),
      failsWith("unavailable", /Cannot connect to the Docker daemon at unix:.*Is the docker daemon running\?/),
    );
    const server = createServer((socket) => {
      socket.end(answer("200 OK", "1"));
    });
    const onUnavailable = async () => {
      server.listen(path);
      await once(server, "listening");
      return true;
    };
    try {
      const transport = createTransport({ endpoint: { kind: "unix", path }, onUnavailable });
      assert.equal(await transport.json("GET", "/x"), 1);
    } finally {
      server.close();
    }
  });

  test("a refusal that comes while the body goes out is what the caller sees", async () => {
    await using server = await serve(async (socket) => {
      await head(socket);
      socket.end(answer("400 Bad Request", '{"message":"no archive"}'));
      socket.destroySoon();
    });
    const endless = async function* () {
      const block = Buffer.alloc(64 * 1024);
      for (;;) {
        yield block;
        await turn();
      }
    };
    await assert.rejects(
      server.transport.text("POST", "/images/load", { body: endless() }),
      failsWith("invalid", /no archive/),
    );
  });

  test("a body that fails fails the call", async () => {
    await using server = await serve(async (socket) => void (await head(socket)));
    const broken = async function* () {
      yield Buffer.from("x");
      throw new Error("disk gone");
    };
    await assert.rejects(server.transport.text("POST", "/images/load", { body: broken() }), /disk gone/);
  });

  test("an abort ends a call that waits and a body that streams", async () => {
    await using server = await serve(async (socket, index) => {
      await head(socket);
      if (index === 1) socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    });
    const waiting = new AbortController();
    const call = server.transport.text("GET", "/x", { signal: waiting.signal });
    setTimeout(() => waiting.abort(), 20);
    await assert.rejects(call, failsWith("cancelled", /./));
    const streaming = new AbortController();
    const response = await server.transport.call("GET", "/x", { signal: streaming.signal });
    setTimeout(() => streaming.abort(), 20);
    await assert.rejects(readText(response.body), failsWith("cancelled", /./));
  });
});

describe("requests", () => {
  test("an older daemon is asked again by its own version, and then always", async () => {
    const paths: string[] = [];
    await using server = await serve(async (socket) => {
      const [, path = ""] = (await head(socket)).split(" ");
      paths.push(path);
      const tooNew = "client version 1.51 is too new. Maximum supported API version is 1.44";
      if (path.startsWith("/v1.51/")) socket.end(answer("400 Bad Request", JSON.stringify({ message: tooNew })));
      else socket.end(answer("200 OK", "{}"));
    });
    await server.transport.json("GET", "/x");
    await server.transport.json("GET", "/y");
    assert.deepEqual(paths, ["/v1.51/x", "/v1.44/x", "/v1.44/y"]);
    assert.equal(server.transport.version, "1.44");
  });

  test("queries leave out what is not set, repeat lists and send filters as JSON", () => {
    assert.equal(
      queryText({ a: undefined, b: false, c: "", d: true, e: 0, f: ["x", "y z"], g: { label: ["a=b"] }, h: {} }),
      `?d=1&e=0&f=x&f=${encodeURIComponent("y z")}&g=${encodeURIComponent('{"label":["a=b"]}')}`,
    );
  });

  test("a streamed body arrives in chunks, whole", async () => {
    let received = "";
    await using server = await serve((socket) => {
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1");
        if (received.endsWith("\r\n0\r\n\r\n")) socket.end(answer("200 OK", "{}"));
      });
    });
    const parts = async function* () {
      yield Buffer.from("ab");
      yield Buffer.alloc(0);
      yield Buffer.from("c".repeat(20));
    };
    await server.transport.json("POST", "/x", { body: parts() });
    assert.match(received, /Transfer-Encoding: chunked\r\n/);
    assert.ok(received.endsWith(`\r\n\r\n2\r\nab\r\n14\r\n${"c".repeat(20)}\r\n0\r\n\r\n`));
  });
});

describe("hijacked connections", () => {
  test("bytes that came with the head are kept, and half a close is heard by the other side", async () => {
    await using server = await serve(async (socket) => {
      assert.match(await head(socket), /Upgrade: tcp/);
      socket.write("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nearly ");
      let heard = "";
      socket.on("data", (chunk) => {
        heard += chunk.toString();
      });
      socket.on("end", () => socket.end(`heard ${heard}`));
    });
    const query = { stdin: true, stdout: true, stderr: true };
    const { stream, framed } = await containersClient(server.transport).attach("web", query);
    assert.equal(framed, false);
    stream.end("all of it");
    assert.equal(await readText(stream as AsyncIterable<Buffer>), "early heard all of it");
  });

  test("a container that is not there is an error, not a stream", async () => {
    await using server = await serve(async (socket) => {
      await head(socket);
      socket.end(answer("404 Not Found", '{"message":"No such container: web"}'));
    });
    const query = { stdin: false, stdout: true, stderr: true };
    await assert.rejects(
      containersClient(server.transport).attach("web", query),
      failsWith("not-found", /No such container: web/),
    );
  });
});
