/** Many containers and many clients at once, and clients that behave badly; the figures of docs/reliability.md come from here. */
import assert from "node:assert/strict";
import { type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { processesOf, proportionalMemory, type TestDaemon } from "../src/testing/daemon.ts";
import { fuzz } from "./lib/fuzz.ts";
import { prepareFuzz } from "./lib/fuzz-names.ts";
import { ownDaemon } from "./lib/own-daemon.ts";
import { holdings } from "./lib/watch.ts";

const MANY = 200;
const AT_ONCE = 50;
/** KiB that a daemon may hold more after bad clients have gone; one stream that was kept whole would be more. */
const SLACK = 64 * 1024;

describe("under load", { skip: process.getuid?.() === 0 ? false : "needs root", timeout: 600_000 }, () => {
  const daemon = ownDaemon();

  const create = async (name: string, Cmd: string[], rest: object = {}) => {
    const body = { Image: "busybox", Cmd, ...rest, HostConfig: { NetworkMode: "none" } };
    return (await daemon.call<{ Id: string }>("POST", `/containers/create?name=${name}`, body)).Id;
  };
  const start = (id: string) => daemon.call("POST", `/containers/${id}/start`);
  const remove = (id: string) => daemon.call("DELETE", `/containers/${id}?force=1`);
  const inParallel = async <T, R>(items: readonly T[], width: number, act: (item: T) => Promise<R>): Promise<R[]> => {
    const results: R[] = [];
    let next = 0;
    const worker = async () => {
      for (let at = next++; at < items.length; at = next++) results[at] = await act(items[at] as T);
    };
    await Promise.all(Array.from({ length: width }, worker));
    return results;
  };
  const logLines = async (id: string) =>
    (await text(await daemon.open("GET", `/containers/${id}/logs?stdout=1`))).split("\n").length - 1;

  test(`${MANY} containers run on one daemon, survive its death, and leave nothing`, async (t) => {
    const empty = await holdings(daemon);
    const ids = await inParallel(
      Array.from({ length: MANY }, (_, at) => `many-${at}`),
      10,
      async (name) => {
        const id = await create(name, ["sh", "-c", "echo here; sleep 3600"]);
        await start(id);
        return id;
      },
    );
    const full = await holdings(daemon);
    t.diagnostic(
      `gantryd: ${empty.memory} KiB empty, ${full.memory} KiB with ${MANY}, ${full.descriptors - empty.descriptors} descriptors more`,
    );
    assert.equal((await daemon.call<unknown[]>("GET", "/containers/json")).length, MANY);
    assert.ok(full.descriptors - empty.descriptors <= 2 * MANY + 20);
    await daemon.kill();
    await daemon.start();
    assert.equal((await daemon.call<unknown[]>("GET", "/containers/json")).length, MANY, "all run on");
    for (const id of [ids[0], ids[MANY / 2], ids[MANY - 1]]) assert.equal(await logLines(id ?? ""), 1);
    await inParallel(ids, 10, remove);
    assert.equal(processesOf(daemon.folder).length, 0);
    const after = await holdings(daemon);
    assert.ok(after.descriptors <= empty.descriptors + 8, `${empty.descriptors} → ${after.descriptors} descriptors`);
  });

  test(`${AT_ONCE} are started at once, ${AT_ONCE} commands run in one, ${AT_ONCE} followers read every line`, async () => {
    const names = Array.from({ length: AT_ONCE }, (_, at) => `once-${at}`);
    const ids = await Promise.all(names.map((name) => create(name, ["sh", "-c", `echo ${name}; exit 7`])));
    await Promise.all(ids.map(start));
    const codes = await Promise.all(
      ids.map((id) => daemon.call<{ StatusCode: number }>("POST", `/containers/${id}/wait`)),
    );
    assert.deepEqual(new Set(codes.map(({ StatusCode }) => StatusCode)), new Set([7]));
    for (const [at, id] of ids.entries())
      assert.match(
        await text(await daemon.open("GET", `/containers/${id}/logs?stdout=1`)),
        new RegExp(`once-${at}\n$`),
      );
    await Promise.all(ids.map(remove));

    const lines = 2000;
    const id = await create(
      "talks",
      ["sh", "-c", `while [ ! -e /go ]; do usleep 20000; done; seq ${lines}; sleep 600`],
      { Tty: true },
    );
    await start(id);
    const followers = await Promise.all(names.map(() => follow(daemon, id)));
    const outputs = await Promise.all(
      names.map(async (name) => {
        const body = { Cmd: ["echo", name], AttachStdout: true, Tty: true };
        const { Id } = await daemon.call<{ Id: string }>("POST", `/containers/${id}/exec`, body);
        return (await text(await daemon.open("POST", `/exec/${Id}/start`, { Tty: true }))).trim();
      }),
    );
    assert.deepEqual(outputs, names);
    const { Id } = await daemon.call<{ Id: string }>("POST", `/containers/${id}/exec`, { Cmd: ["touch", "/go"] });
    await daemon.call("POST", `/exec/${Id}/start`, { Detach: true });
    const wanted = Array.from({ length: lines }, (_, at) => `${at + 1}\r\n`).join("");
    for (const follower of followers) assert.equal(await follower.until(wanted.length), wanted);
    await remove(id);
  });

  test("clients that never read cost neither memory nor anybody's time", async (t) => {
    const id = await create("noisy", ["sh", "-c", "while :; do head -c 65536 /dev/zero | tr '\\0' x; echo; done"]);
    await start(id);
    const before = await holdings(daemon);
    const paths = [
      "/events",
      `/containers/${id}/logs?stdout=1&follow=1`,
      `/containers/${id}/stats`,
      `/containers/${id}/export`,
    ];
    const silent = paths.flatMap((path) =>
      Array.from({ length: 5 }, () => open(daemon, `GET /v1.51${path} HTTP/1.1\r\nHost: x\r\n\r\n`)),
    );
    for (let at = 0; at < 5; at++)
      silent.push(
        open(
          daemon,
          `POST /v1.51/containers/${id}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`,
        ),
      );
    let highest = 0;
    for (let moment = 0; moment < 20; moment++) {
      await sleep(150);
      highest = Math.max(highest, proportionalMemory(daemon.pid));
      await daemon.call("GET", "/_ping");
    }
    // The container goes on for others: a container of one's own starts, speaks and ends meanwhile.
    const other = await create("other", ["echo", "word"]);
    await start(other);
    await daemon.call("POST", `/containers/${other}/wait`);
    assert.equal(await logLines(other), 1);
    t.diagnostic(
      `gantryd: ${before.memory} KiB before, at most ${highest} KiB with ${silent.length} clients that do not read`,
    );
    assert.ok(highest - before.memory < SLACK, `${before.memory} → ${highest} KiB`);
    for (const socket of silent) socket.destroy();
    await Promise.all([remove(id), remove(other)]);
    const after = await holdings(daemon);
    assert.ok(after.descriptors <= before.descriptors + 2, `${before.descriptors} → ${after.descriptors} descriptors`);
    assert.equal(after.listeners, 0);
  });

  test("clients that cut off, in every phase of every streaming call, leave nothing behind", async (t) => {
    const id = await create("steady", ["sh", "-c", "while :; do echo line; usleep 5000; done"], { OpenStdin: true });
    await start(id);
    const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    const exec = async () =>
      (
        await daemon.call<{ Id: string }>("POST", `/containers/${id}/exec`, {
          Cmd: ["sh", "-c", "while :; do echo x; done"],
          AttachStdout: true,
          AttachStdin: true,
        })
      ).Id;
    const calls: (() => Promise<[string, string, string?]> | [string, string, string?])[] = [
      () => ["GET", "/events"],
      () => ["GET", `/containers/${id}/logs?stdout=1&follow=1`],
      () => ["GET", `/containers/${id}/stats`],
      () => ["GET", `/containers/${id}/export`],
      () => ["GET", `/containers/${id}/archive?path=/bin`],
      () => ["GET", "/images/busybox/get"],
      () => ["POST", `/containers/${id}/attach?stream=1&stdout=1&stdin=1&logs=1`, upgrade],
      () => ["POST", `/containers/${id}/attach?stream=1&stdout=1&stdin=1`],
      async () => ["POST", `/exec/${await exec()}/start`, upgrade],
      () => ["POST", `/containers/${id}/wait`],
      () => [
        "PUT",
        `/containers/${id}/archive?path=/tmp`,
        "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n",
      ],
      () => ["POST", "/images/load", "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n"],
      () => ["POST", "/build", "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n"],
      () => ["POST", "/containers/create", "Content-Type: application/json\r\nContent-Length: 500\r\n"],
      () => [
        "POST",
        "/images/create?fromSrc=-&repo=cut",
        "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n",
      ],
      () => ["POST", "/images/create?fromImage=127.0.0.1:9/nothing&tag=1"],
      () => ["GET", "/images/get?names=busybox&names=busybox"],
      () => ["GET", `/containers/${id}/logs?stdout=1&stderr=1&timestamps=1`],
      () => ["POST", "/session", "Connection: Upgrade\r\nUpgrade: h2c\r\nX-Docker-Expose-Session-Uuid: cut\r\n"],
      () => ["POST", "/grpc", "Connection: Upgrade\r\nUpgrade: h2c\r\n"],
      () => [
        "GET",
        `/containers/${id}/attach/ws?stream=1&stdout=1`,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
      ],
    ];
    const before = await holdings(daemon);
    let cuts = 0;
    for (const call of calls)
      for (const phase of PHASES) {
        const [method, path, headers = ""] = await call();
        const body = path.endsWith("/start") ? '{"Detach":false}' : "";
        const type = body === "" ? "" : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
        await phase(daemon, `${method} /v1.51${path} HTTP/1.1\r\nHost: x\r\n${headers}${type}\r\n${body}`);
        cuts++;
      }
    assert.equal(
      (await daemon.call<{ State: { Running: boolean } }>("GET", `/containers/${id}/json`)).State.Running,
      true,
    );
    await daemon.call("POST", `/containers/${id}/restart?t=0`);
    const after = await holdings(daemon);
    t.diagnostic(
      `${cuts} connections cut: ${before.descriptors} → ${after.descriptors} descriptors, ${before.memory} → ${after.memory} KiB`,
    );
    assert.ok(after.descriptors <= before.descriptors + 4, `${before.descriptors} → ${after.descriptors} descriptors`);
    assert.equal(after.listeners, 0);
    assert.ok(after.memory - before.memory < SLACK, `${before.memory} → ${after.memory} KiB`);
    await remove(id);
  });

  test("requests made from the route table find no crash, no leak and no error without a kind", async (t) => {
    const socket = daemon.host.slice("unix://".length);
    const { pid } = daemon;
    const seed = Math.floor(Math.random() * 1e9);
    await fuzz({ socket, seed, requests: 300, parallel: 8, names: await prepareFuzz(daemon) });
    const warm = await holdings(daemon);
    const result = await fuzz({
      socket,
      seed: seed + 1,
      requests: 1200,
      parallel: 8,
      names: await prepareFuzz(daemon),
    });
    const after = await holdings(daemon);
    t.diagnostic(`seed ${seed}: ${JSON.stringify(result.statuses)}; ${warm.memory} → ${after.memory} KiB`);
    assert.deepEqual(result.internal, [], `seed ${seed}`);
    assert.equal(result.statuses.none ?? 0, 0, "every whole request was answered");
    assert.equal(daemon.pid, pid);
    assert.doesNotMatch(daemon.log(), /uncaught exception|unhandled rejection/);
    assert.ok(after.descriptors <= warm.descriptors + 8, `${warm.descriptors} → ${after.descriptors} descriptors`);
    assert.ok(after.memory - warm.memory < SLACK, `${warm.memory} → ${after.memory} KiB`);
  });
});

type Phase = (daemon: TestDaemon, whole: string) => Promise<void>;

/** Cut: while connecting, in the middle of the head, right after it, at the first byte, after some of the answer, with half closed. */
const PHASES: readonly Phase[] = [
  async (daemon) => void open(daemon, "").destroy(),
  async (daemon, whole) => {
    const socket = open(daemon, whole.slice(0, whole.length >> 1));
    await sleep(5);
    socket.destroy();
  },
  async (daemon, whole) => {
    const socket = open(daemon, whole);
    await sleep(1);
    socket.destroy();
  },
  async (daemon, whole) => {
    const socket = open(daemon, whole);
    await Promise.race([new Promise((resolve) => socket.once("data", resolve)), sleep(300)]);
    socket.destroy();
  },
  async (daemon, whole) => {
    const socket = open(daemon, whole);
    socket.resume();
    socket.write("100\r\nnot all of a chunk");
    await sleep(60);
    socket.destroy();
  },
  async (daemon, whole) => {
    const socket = open(daemon, whole);
    socket.resume();
    socket.end();
    await sleep(30);
    socket.destroy();
  },
];

function open(daemon: TestDaemon, bytes: string): Socket {
  const socket = connect({ path: daemon.host.slice("unix://".length), allowHalfOpen: true });
  socket.on("error", () => {});
  if (bytes !== "") socket.write(bytes);
  return socket.pause();
}

async function text(response: IncomingMessage): Promise<string> {
  return Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
}

/** A follower of the log of a container with a terminal, on a connection of its own. */
function follow(daemon: TestDaemon, id: string): Promise<{ until(length: number): Promise<string> }> {
  return new Promise((resolve, reject) => {
    const path = `/v1.51/containers/${id}/logs?stdout=1&follow=1`;
    const asked = request({ socketPath: daemon.host.slice("unix://".length), path, agent: false }, (response) => {
      let got = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        got += chunk;
      });
      resolve({
        async until(length) {
          for (let attempt = 0; got.length < length && attempt < 1000; attempt++) await sleep(20);
          response.destroy();
          return got;
        },
      });
    });
    asked.on("error", reject).end();
  });
}
