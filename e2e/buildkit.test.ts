/** BuildKit's interface as Buildx speaks it, from a client that is written from the wire's description; and what hostile ones do. */
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionOptions } from "node:tls";
import { TarWriter } from "../src/base/tar/writer.ts";
import type { GrpcClient } from "../src/buildkit/grpc/client.ts";
import type { Method } from "../src/buildkit/grpc/server.ts";
import { StatusError } from "../src/buildkit/grpc/status.ts";
import { decode } from "../src/buildkit/protobuf/decode.ts";
import { encode } from "../src/buildkit/protobuf/encode.ts";
import {
  CONTROL,
  Empty,
  InfoResponse,
  ListWorkersResponse,
  SolveRequest,
  SolveResponse,
  StatusResponse,
} from "../src/buildkit/wire/control.ts";
import { METHODS, Packet, STAT } from "../src/buildkit/wire/session.ts";
import { makePaths } from "../src/store/paths.ts";
import {
  buildOn,
  FOLDER_MODE,
  openGrpc,
  openSession,
  statusOf,
  type TestFile,
  takeOver,
} from "../src/testing/buildkit-client.ts";
import { makeAuthority, makeCertificate } from "../src/testing/certificates.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";

let daemon: TestDaemon;
let socket: string;
let grpc: GrpcClient;

before(async () => {
  daemon = await startDaemon();
  socket = daemon.host.replace("unix://", "");
  grpc = await openGrpc(socket);
});
after(async () => {
  grpc?.close();
  await daemon?.[Symbol.asyncDispose]();
});

const dockerfile = (text: string): readonly TestFile[] => [{ path: "Dockerfile", data: text }];
/** Containers of steps. */
const running = () => readdirSync(makePaths(daemon.dataRoot, daemon.execRoot).bundlesFolder).length;

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 600) assert.fail("it never came to hold");
    await sleep(50);
  }
}

const moby = (name: string) => [{ type: "moby", attrs: { name } }];
const contexts = () => readdirSync(makePaths(daemon.dataRoot, daemon.execRoot).contexts).length;

test("the worker says who it is", async () => {
  const { buildkitVersion } = await grpc.unary(`${CONTROL}Info`, [Empty, InfoResponse], {});
  assert.equal(buildkitVersion?.package, "gantry");
  const { record } = await grpc.unary(`${CONTROL}ListWorkers`, [Empty, ListWorkersResponse], {});
  assert.equal(record[0]?.platforms[0]?.os, "linux");
});

test("a folder of the client becomes an image, and its next build is sent what changed", async () => {
  const text = "FROM busybox\nCOPY . /files\nRUN cat /files/sub/b\n";
  const context = (a: string): TestFile[] => [
    { path: "a", data: a },
    { path: "link", mode: 2 ** 27 + 0o777, linkname: "a" },
    { path: "sub", mode: FOLDER_MODE },
    { path: "sub/b", data: randomBytes(100_000) },
    { path: "sub/hard", linkname: "sub/b", size: 0 },
  ];
  const first = context("one");
  const folders = { dockerfile: dockerfile(text), context: first };
  const session = await openSession(socket, { folders }, "shared");
  const response = await buildOn(grpc, { session: session.id, exporters: moby("sent:1,sent:2") });
  session.connection.destroy();
  assert.equal(response["image.name"], "docker.io/library/sent:1,docker.io/library/sent:2");
  const image = await daemon.call<{ Id: string }>("GET", "/images/sent:2/json");
  assert.equal(response["containerimage.digest"], image.Id);
  assert.deepEqual(session.asked.files.toSorted(), ["context: a", "context: sub/b", "dockerfile: Dockerfile"]);

  const changed = first.map((file) => (file.path === "a" ? { ...file, data: "other" } : file));
  const again = await openSession(socket, { folders: { ...folders, context: changed } }, "shared");
  await buildOn(grpc, { session: again.id, exporters: moby("sent:3") });
  again.connection.destroy();
  assert.deepEqual(again.asked.files, ["context: a"]);
});

test("steps are told as they run, and those of a second build as cached", async () => {
  const folders = { dockerfile: dockerfile("FROM busybox\nENV A=b\nRUN echo said\n") };
  for (const cached of [false, true]) {
    const session = await openSession(socket, { folders });
    const ref = randomUUID();
    const attributes = { target: "" };
    const request = {
      ref,
      session: session.id,
      frontend: "dockerfile.v0",
      frontendAttrs: attributes,
      exporters: moby(""),
    };
    const seen = Array.fromAsync(statusOf(grpc, ref));
    await grpc.unary(`${CONTROL}Solve`, [SolveRequest, SolveResponse], request);
    const vertices = new Map((await seen).flatMap(({ vertexes }) => vertexes).map((vertex) => [vertex.name, vertex]));
    assert.ok([...vertices.keys()].includes("[internal] load build definition from Dockerfile"));
    assert.ok(![...vertices.keys()].some((name) => name.includes("ENV")));
    const step = vertices.get("[2/2] RUN echo said");
    assert.equal(step?.cached, cached);
    assert.ok(step?.started !== undefined && step.completed !== undefined);
    const logs = (await seen).flatMap(({ logs }) => logs).map(({ msg }) => Buffer.from(msg).toString());
    assert.equal(logs.join(""), cached ? "" : "said\n");
    session.connection.destroy();
  }
});

test("a step that fails is told with its place", async () => {
  const session = await openSession(socket, { folders: { dockerfile: dockerfile("FROM busybox\nRUN exit 7\n") } });
  await assert.rejects(buildOn(grpc, { session: session.id }), (error) => {
    assert.ok(error instanceof StatusError);
    assert.equal(error.message, 'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7');
    const [detail] = error.status.details ?? [];
    const { info, ranges } = JSON.parse(Buffer.from(detail?.value ?? []).toString());
    assert.deepEqual([info.filename, ranges[0].start.line], ["Dockerfile", 2]);
    return true;
  });
  session.connection.destroy();
});

test("secrets come from the session, where it has them", async () => {
  const text =
    "FROM busybox\nRUN --mount=type=secret,id=here cat /run/secrets/here >&2\nRUN --mount=type=secret,id=gone ! test -e /run/secrets/gone\n";
  const session = await openSession(socket, { folders: { dockerfile: dockerfile(text) }, secrets: { here: "value" } });
  await buildOn(grpc, { session: session.id });
  const needs = dockerfile("FROM busybox\nRUN --mount=type=secret,id=gone,required=true true\n");
  const other = await openSession(socket, { folders: { dockerfile: needs } });
  await assert.rejects(buildOn(grpc, { session: other.id }), /secret gone: not found/);
  for (const { connection } of [session, other]) connection.destroy();
});

test("products go to the client", async () => {
  const session = await openSession(socket, {
    folders: { dockerfile: dockerfile("FROM scratch\nCOPY <<F /file\ntext\nF\n") },
  });
  await buildOn(grpc, { session: session.id, exporters: [{ type: "tar", attrs: {} }] });
  assert.ok(session.asked.products.get("0")?.includes("text\n"));
  session.connection.destroy();
});

test("a question about the Dockerfile is answered without its context", async () => {
  const session = await openSession(socket, { folders: { dockerfile: dockerfile("FROM busybox\nCMD true\n") } });
  let json = "";
  await buildOn(grpc, {
    session: session.id,
    attributes: { requestid: "frontend.lint" },
    onResult: ({ result }) => {
      json = Buffer.from(result?.metadata["result.json"] ?? []).toString();
    },
  });
  assert.equal(JSON.parse(json).warnings[0].ruleName, "JSONArgsRecommended");
  session.connection.destroy();
});

test("what only the cache wanted leaves no image", async () => {
  const before = await daemon.call<unknown[]>("GET", "/images/json?all=1");
  const session = await openSession(socket, {
    folders: { dockerfile: dockerfile("FROM busybox\nRUN echo cacheonly\n") },
  });
  await buildOn(grpc, { session: session.id });
  const afterwards = await daemon.call<unknown[]>("GET", "/images/json?all=1");
  assert.equal(afterwards.length, before.length);
  session.connection.destroy();
});

test("a build of version 2 has its context in the body, and its status among the lines", async () => {
  const archive = new TarWriter();
  const sent = daemon.open("POST", "/build?version=2&t=plain:1&buildargs=%7B%22V%22%3A%225%22%7D", archive.stream);
  await archive.add({ path: "Dockerfile" }, "FROM busybox\nARG V\nRUN echo got-$V\n");
  await archive.finish();
  const lines = (await text(await sent))
    .trim()
    .split("\r\n")
    .map((line) => JSON.parse(line) as { id: string; aux: string });
  const status = lines
    .filter(({ id }) => id === "moby.buildkit.trace")
    .map(({ aux }) => decode(StatusResponse, Buffer.from(aux, "base64")));
  const logs = status.flatMap((part) => part.logs).map(({ msg }) => Buffer.from(msg).toString());
  assert.equal(logs.join(""), "got-5\n");
  const { Id } = await daemon.call<{ Id: string }>("GET", "/images/plain:1/json");
  assert.deepEqual(lines.at(-1), { id: "moby.image.id", aux: { ID: Id } });
});

test("a build works over TLS", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-buildkit-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  makeAuthority(folder, "ca");
  for (const name of ["server", "client"]) makeCertificate(folder, name, "ca");
  const [ca, cert, key] = ["ca.pem", "server.pem", "server.key"].map((name) => join(folder, name));
  const flags = ["--tlsverify", `--tlscacert=${ca}`, `--tlscert=${cert}`, `--tlskey=${key}`];
  await using far = await startDaemon({ flags: ["-H", "tcp://127.0.0.1:0", ...flags] });
  const port = Number(/API listen on 127\.0\.0\.1:(\d+)/.exec(far.log())?.[1]);
  const [caText, own, ownKey] = ["ca.pem", "client.pem", "client.key"].map((name) => readFileSync(join(folder, name)));
  const place: ConnectionOptions = { host: "127.0.0.1", port, ca: caText, cert: own, key: ownKey };
  const calls = await openGrpc(place);
  const folders = {
    dockerfile: dockerfile("FROM busybox\nCOPY f /f\n"),
    context: [{ path: "f", data: randomBytes(500_000) }],
  };
  const session = await openSession(place, { folders });
  const response = await buildOn(calls, { session: session.id, exporters: moby("secure") });
  assert.equal(response["image.name"], "docker.io/library/secure:latest");
  session.connection.destroy();
  calls.close();
});

test("a client that gives up ends its build and everything of it", async () => {
  const kept = contexts();
  const session = await openSession(socket, { folders: { dockerfile: dockerfile("FROM busybox\nRUN sleep 1000\n") } });
  const own = await openGrpc(socket);
  const stop = new AbortController();
  const building = buildOn(own, { session: session.id, signal: stop.signal });
  building.catch(() => {});
  await until(() => running() > 0);
  assert.ok(contexts() > kept);
  stop.abort(new Error("enough"));
  own.close();
  await assert.rejects(building);
  session.connection.destroy();
  await until(() => running() === 0 && contexts() === kept);
  const next = await openSession(socket, { folders: { dockerfile: dockerfile("FROM busybox\nRUN true\n") } });
  await buildOn(grpc, { session: next.id });
  next.connection.destroy();
});

const HOSTILE_FILES: readonly (readonly [what: string, file: TestFile, says: RegExp])[] = [
  ["a name that leaves the folder", { path: "../out", data: "x" }, /wrong line/],
  ["an absolute name", { path: "/etc/x", data: "x" }, /wrong line/],
  ["a name with a zero", { path: "a\0b", data: "x" }, /wrong line/],
  [
    "a hard link to what is not there",
    { path: "h", linkname: "../../etc/passwd", size: 0 },
    /wrong line|no file before it/,
  ],
  ["a file that is shorter than it was said", { path: "short", data: "x", size: 1000 }, /became shorter/],
  ["a name without end", { path: "x".repeat(100_000), data: "x" }, /more than 4095 bytes/],
];

for (const [what, file, says] of HOSTILE_FILES)
  test(`${what} is refused, and nothing is left`, async () => {
    const before_ = contexts();
    const folders = { dockerfile: dockerfile("FROM busybox\nCOPY . /\n"), context: [file] };
    const session = await openSession(socket, { folders });
    await assert.rejects(buildOn(grpc, { session: session.id }), says);
    session.connection.destroy();
    await until(() => contexts() === before_);
  });

test("a listing without end is stopped with its build, and what there was of it is gone", async () => {
  const kept = contexts();
  const many = Promise.withResolvers<void>();
  let stopped = false;
  const endless: Method = async function* () {
    try {
      for (let at = 0; ; at++) {
        if (at === 20_000) many.resolve();
        yield encode(Packet, { type: STAT, stat: { path: `f${at}`, mode: 0o644 } });
      }
    } finally {
      stopped = true;
    }
  };
  const methods = new Map([[METHODS.diffCopy, endless]]);
  const session = await openSession(socket, { methods });
  const own = await openGrpc(socket);
  const building = buildOn(own, { session: session.id });
  building.catch(() => {});
  await many.promise;
  assert.equal(stopped, false);
  own.close();
  await assert.rejects(building);
  // The call was given up: the session itself is still there.
  await until(() => stopped && contexts() === kept);
  session.connection.destroy();
});

test("a session that vanishes within a transfer ends the build with a reason", async () => {
  let session: Awaited<ReturnType<typeof openSession>> | undefined;
  const vanishing: Method = async function* () {
    yield encode(Packet, { type: STAT, stat: { path: "Dockerfile", mode: 0o644, size: 5 } });
    session?.connection.destroy();
  };
  session = await openSession(socket, { methods: new Map([[METHODS.diffCopy, vanishing]]) });
  await assert.rejects(buildOn(grpc, { session: session.id }), /session|stopped sending|cancel/i);
});

test("connections that speak nonsense are closed, and the daemon goes on", async () => {
  for (const path of ["/grpc", "/session"]) {
    const connection = await takeOver(socket, path, { "X-Docker-Expose-Session-Uuid": randomUUID() });
    connection.write(randomBytes(100_000));
    connection.resume();
    await once(connection, "close");
  }
  await assert.rejects(grpc.unary(`${CONTROL}Nothing`, [Empty, Empty], {}), /no method/);
  await assert.rejects(buildOn(grpc, { session: "" }), /names no session/);
  await assert.rejects(takeOver(socket, "/session"), /400/);
  assert.equal(await daemon.call("GET", "/_ping"), "OK");
});
