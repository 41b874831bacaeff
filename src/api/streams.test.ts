import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { test } from "node:test";
import { EngineError } from "../base/errors.ts";
import type { EventQuery } from "../events/events.ts";
import { eventually, startApi } from "../testing/api-harness.ts";

const bodyOf = (text: string) => text.slice(text.indexOf("\r\n\r\n") + 4);
const get = (url: string) => `GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`;
const tick = () => new Promise((resolve) => setTimeout(resolve, 1));

test("events: headers at once, a line per event, the subscription ends with the client", async (t) => {
  let query: EventQuery | undefined;
  let ended = false;
  let tell: () => void = () => {};
  const { connect } = await startApi(t, {
    events: {
      async *subscribe(given) {
        query = given;
        try {
          const gone = new Promise((resolve) => given.signal?.addEventListener("abort", resolve));
          await new Promise<void>((resolve) => {
            tell = resolve;
          });
          yield {
            Type: "container",
            Action: "die",
            Actor: { ID: "i", Attributes: { image: "m" } },
            scope: "local",
            time: 1,
            timeNano: 1,
          };
          yield {
            Type: "network",
            Action: "x",
            Actor: { ID: "n", Attributes: {} },
            scope: "local",
            time: 1,
            timeNano: 1,
          };
          await gone;
        } finally {
          ended = true;
        }
      },
    },
  });
  const client = connect();
  client.write(get(`/v1.51/events?since=12.5&filters=${encodeURIComponent('{"type":["container"]}')}`));
  await client.until("\r\n\r\n");
  assert.deepEqual([query?.since, query?.until, query?.filters], [12_500_000_000n, undefined, { type: ["container"] }]);
  tell();
  await client.until('"n"');
  const lines = [...client.received.matchAll(/^\{.*\}$/gm)].map(
    ([line]) => JSON.parse(line) as { status?: string; id?: string; from?: string },
  );
  assert.deepEqual([lines[0]?.status, lines[0]?.id, lines[0]?.from], ["die", "i", "m"]);
  assert.equal("status" in (lines[1] ?? {}), false);
  client.socket.destroy();
  await eventually(() => ended);
});

test("a follower that half-closes its connection ends the stream too", async (t) => {
  const { connect } = await startApi(t, {
    containers: {
      logs: (_name, { signal }) =>
        Promise.resolve({
          raw: false,
          chunks: (async function* () {
            yield Buffer.from("x");
            await new Promise((resolve) => signal?.addEventListener("abort", resolve));
          })(),
        }),
    },
  });
  const client = connect();
  client.write(get("/containers/a/logs?stdout=1&follow=1"));
  await client.until("x");
  client.end();
  await client.ended;
});

test("logs want a stream, tell the form of theirs, and read their options", async (t) => {
  const seen: unknown[] = [];
  const { ask } = await startApi(t, {
    containers: {
      logs: (name, { signal: _, ...options }) => {
        seen.push(options);
        return Promise.resolve({ raw: name === "tty", chunks: Readable.from([Buffer.from("line")]) });
      },
    },
  });
  const none = await ask("/containers/a/logs");
  assert.deepEqual([none.status, none.json], [400, { message: "Bad parameters: you must choose at least one stream" }]);
  const framed = await ask("/containers/a/logs?stdout=1&tail=7&since=1.000000001&timestamps=1");
  assert.equal(framed.headers["content-type"], "application/vnd.docker.multiplexed-stream");
  assert.equal(framed.text, "line");
  assert.equal(
    (await ask("/containers/tty/logs?stderr=1&tail=all")).headers["content-type"],
    "application/vnd.docker.raw-stream",
  );
  assert.equal(
    (await ask("/v1.41/containers/a/logs?stderr=1")).headers["content-type"],
    "application/vnd.docker.raw-stream",
  );
  assert.deepEqual(seen[0], {
    follow: false,
    stdout: true,
    stderr: false,
    since: 1_000_000_001n,
    until: undefined,
    timestamps: true,
    tail: 7,
    details: false,
    reuse: true,
  });
});

test("a slow reader slows the source down", async (t) => {
  let produced = 0;
  const chunk = Buffer.alloc(1 << 20);
  const { connect } = await startApi(t, {
    containers: {
      logs: () =>
        Promise.resolve({
          raw: true,
          chunks: (async function* () {
            for (; produced < 64; produced++) yield chunk;
          })(),
        }),
    },
  });
  const client = connect();
  client.socket.pause();
  client.write(get("/containers/a/logs?stdout=1"));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(produced < 8, `${produced} MiB produced for a reader that took nothing`);
  client.socket.resume();
  await eventually(() => produced === 64);
});

test("wait sends its headers before there is a result, and no Error where none is", async (t) => {
  let finish: (code: number) => void = () => {};
  const { connect, ask } = await startApi(t, {
    containers: {
      wait: (name) => {
        if (name === "bad") return Promise.resolve({ result: Promise.reject(new Error("gone")) });
        const result = new Promise<{ StatusCode: number; Error: { Message?: string } }>((resolve) => {
          finish = (StatusCode) => resolve({ StatusCode, Error: { Message: "" } });
        });
        return Promise.resolve({ result });
      },
    },
  });
  const client = connect();
  client.write("POST /containers/a/wait?condition=next-exit HTTP/1.1\r\nHost: x\r\n\r\n");
  await client.until("\r\n\r\n");
  assert.equal(bodyOf(client.received), "");
  finish(7);
  await client.until('{"StatusCode":7}\n');
  const failed = await ask("/containers/bad/wait", { method: "POST" });
  assert.deepEqual(failed.json, { StatusCode: -1, Error: { Message: "gone" } });
  const wrong = await ask("/containers/a/wait?condition=never", { method: "POST" });
  assert.deepEqual([wrong.status, wrong.json], [400, { message: 'invalid condition: "never"' }]);
});

test("stats stream by default, and are one document when not", async (t) => {
  const { ask } = await startApi(t, {
    containers: {
      async *stats(name, { stream }) {
        if (name === "missing") throw new EngineError("not-found", "No such container: missing");
        yield { id: "a" };
        if (stream) yield { id: "b" };
      },
    },
  });
  assert.equal((await ask("/containers/a/stats")).text, '{"id":"a"}\n{"id":"b"}\n');
  assert.equal((await ask("/containers/a/stats?stream=false&one-shot=1")).text, '{"id":"a"}\n');
  assert.equal((await ask("/containers/a/stats?one-shot=1")).status, 400);
  assert.equal((await ask("/containers/missing/stats")).status, 404);
});

test("load tells its progress, and its failure as the last line once lines are out", async (t) => {
  const { ask } = await startApi(t, {
    images: {
      load: async (archive, { onProgress }) => {
        const text = Buffer.concat(await archive.toArray()).toString();
        if (text === "at once") throw new EngineError("invalid", "not an archive");
        onProgress({ id: "1", status: "Loading layer" });
        if (text === "late") throw new EngineError("invalid", "cut off", { hint: "Send it whole." });
        onProgress({ stream: "Loaded image: x\n" });
      },
    },
  });
  const load = (body: string, query = "") =>
    ask(`/images/load${query}`, { method: "POST", body, headers: { "Content-Type": "application/x-tar" } });
  const good = await load("good");
  assert.equal(good.headers["content-type"], "application/json");
  assert.equal(good.text, '{"id":"1","status":"Loading layer"}\r\n{"stream":"Loaded image: x\\n"}\r\n');
  assert.equal((await load("good", "?quiet=1")).text, '{"stream":"Loaded image: x\\n"}\r\n');
  assert.deepEqual((await load("at once")).json, { message: "not an archive" });
  const late = await load("late");
  assert.equal(late.status, 200);
  const last = JSON.parse(late.text.trim().split("\r\n").at(-1) ?? "") as object;
  assert.deepEqual(last, { errorDetail: { message: "cut off\nSend it whole." }, error: "cut off\nSend it whole." });
});

test("import reads its body and answers with the image's id", async (t) => {
  const { ask } = await startApi(t, {
    images: {
      import: async (tar, { repo, tag, changes, platform }) => {
        assert.deepEqual(
          [repo, tag, changes, platform],
          ["r", "t", ["CMD a", "ENV b=c"], { os: "linux", architecture: "arm64" }],
        );
        return `sha256:${createHash("sha256")
          .update(Buffer.concat(await (tar as Readable).toArray()))
          .digest("hex")}`;
      },
    },
  });
  const body = randomBytes(3 << 20);
  const answer = await ask(
    "/images/create?fromSrc=-&repo=r&tag=t&changes=CMD+a&changes=ENV+b%3Dc&platform=linux/arm64",
    { method: "POST", body },
  );
  assert.deepEqual(answer.json, { status: `sha256:${createHash("sha256").update(body).digest("hex")}` });
});

test("a source that fails in the middle cuts the connection, so that nobody takes the half for the whole", async (t) => {
  const { connect } = await startApi(t, {
    containers: {
      export: () =>
        Promise.resolve(
          Readable.from(
            (async function* () {
              yield Buffer.from("half");
              await tick();
              throw new Error("disk");
            })(),
          ),
        ),
    },
  });
  const client = connect();
  client.write(get("/containers/a/export"));
  await client.ended;
  assert.match(client.received, /half/);
  assert.doesNotMatch(client.received, /\r\n0\r\n\r\n$/);
});

test("an upload that is cut off reaches the engine as an error, and the daemon goes on", async (t) => {
  let outcome: unknown;
  let begun = false;
  const { connect, ask } = await startApi(t, {
    images: {
      load: async (archive) => {
        begun = true;
        await archive.toArray().catch((error: unknown) => {
          outcome = error;
          throw error;
        });
      },
    },
  });
  const client = connect();
  client.write("POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\npart");
  await eventually(() => begun);
  client.socket.destroy();
  await eventually(() => outcome !== undefined);
  assert.equal((await ask("/_ping")).status, 200);
});

test("networks and volumes are filtered", async (t) => {
  const network = (Name: string, Driver: string) => ({
    Name,
    Id: `id-${Name}`,
    Driver,
    Scope: "local",
    Labels: { of: Name },
    Containers: {},
  });
  const volume = (Name: string) => ({ Name, Driver: "local", Labels: { of: Name } });
  const { ask } = await startApi(t, {
    networks: {
      list: () => [network("bridge", "bridge"), network("mine", "bridge"), network("host", "host")] as never,
    },
    volumes: { listAll: async () => ({ volumes: [volume("a"), volume("ab")] as never, warnings: [] }) },
    containers: { list: () => Promise.resolve([{ Mounts: [{ Type: "volume", Name: "a" }] }] as never) },
  });
  const names = async (url: string, filters: object) => {
    const { json } = await ask(`${url}?filters=${encodeURIComponent(JSON.stringify(filters))}`);
    const list = Array.isArray(json) ? json : (json as { Volumes: unknown[] }).Volumes;
    return (list as { Name: string }[]).map(({ Name }) => Name);
  };
  assert.deepEqual(await names("/networks", { driver: ["bridge"] }), ["bridge", "mine"]);
  assert.deepEqual(await names("/networks", { type: ["custom"] }), ["mine"]);
  assert.deepEqual(await names("/networks", { name: ["mi"], label: ["of=mine"] }), ["mine"]);
  assert.deepEqual(await names("/networks", { dangling: ["true"] }), ["mine"]);
  assert.deepEqual(await names("/volumes", { dangling: { true: true } }), ["ab"]);
  assert.deepEqual(await names("/volumes", { dangling: ["0"] }), ["a"]);
  assert.deepEqual(await names("/volumes", { name: ["a"], label: ["of=ab"] }), ["ab"]);
});
