/** What clients of BuildKit's interface may do to others and to the daemon: neither take over, nor fill its memory, nor learn a password. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Method } from "../src/buildkit/grpc/server.ts";
import { StatusError } from "../src/buildkit/grpc/status.ts";
import { decode } from "../src/buildkit/protobuf/decode.ts";
import { encode } from "../src/buildkit/protobuf/encode.ts";
import {
  CONTROL,
  Empty,
  HistoryEvent,
  HistoryRequest,
  PruneRequest,
  SolveRequest,
  SolveResponse,
} from "../src/buildkit/wire/control.ts";
import {
  BRIDGE,
  BUILD_ID,
  GatewaySolveRequest,
  GatewaySolveResponse,
  PongResponse,
  ReturnRequest,
} from "../src/buildkit/wire/gateway.ts";
import { DATA, FIN, METHODS, Packet, REQUEST, STAT } from "../src/buildkit/wire/session.ts";
import { buildOn, openGrpc, openSession, statusOf, type TestFile } from "../src/testing/buildkit-client.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";

let daemon: TestDaemon;
let socket: string;

before(async () => {
  daemon = await startDaemon();
  socket = daemon.host.replace("unix://", "");
});
after(async () => {
  await daemon?.[Symbol.asyncDispose]();
});

const dockerfile = (text: string): readonly TestFile[] => [{ path: "Dockerfile", data: text }];

test("a build answers calls of its own connection only", async () => {
  const [owner, stranger] = await Promise.all([openGrpc(socket), openGrpc(socket)]);
  const session = await openSession(socket, { folders: { dockerfile: dockerfile("FROM busybox\n") } });
  const ref = randomUUID();
  const metadata = { [BUILD_ID]: [ref] };
  const solving = owner.unary(`${CONTROL}Solve`, [SolveRequest, SolveResponse], { ref, session: session.id });
  solving.catch(() => {});
  await owner.unary(`${BRIDGE}Ping`, [Empty, PongResponse], {}, { metadata });

  const solve = { frontend: "dockerfile.v0", frontendOpt: {} };
  const error = { code: 2, message: "ended by a stranger" };
  const calls = [
    () => stranger.unary(`${BRIDGE}Ping`, [Empty, PongResponse], {}, { metadata }),
    () => stranger.unary(`${BRIDGE}Solve`, [GatewaySolveRequest, GatewaySolveResponse], solve, { metadata }),
    () => stranger.unary(`${BRIDGE}Return`, [ReturnRequest, Empty], { error }, { metadata }),
  ];
  for (const call of calls)
    await assert.rejects(call(), (refused) => refused instanceof StatusError && refused.status.code === 5);
  assert.deepEqual(session.asked.files, []);

  await owner.unary(`${BRIDGE}Solve`, [GatewaySolveRequest, GatewaySolveResponse], solve, { metadata });
  await owner.unary(`${BRIDGE}Return`, [ReturnRequest, Empty], {}, { metadata });
  await solving;
  for (const grpc of [owner, stranger]) grpc.close();
  session.connection.destroy();
});

test("a step that fails in a long Dockerfile is told with its place, or without, and the connection lasts", async () => {
  const grpc = await openGrpc(socket);
  const comments = (bytes: number) => `# ${"x".repeat(60)}\n`.repeat(bytes / 63);
  const cases = [
    { text: `FROM busybox\n${comments(80_000)}RUN exit 7\n${comments(80_000)}`, shown: true },
    { text: `FROM busybox\n${"\n".repeat(40_000)}RUN exit 7\n`, shown: false },
    { text: `FROM busybox\nRUN exit 7; ${"x".repeat(30_000)}\n`, shown: false },
    { text: `FROM busybox\nRUN exit 7; ${"\u{1f40b}\u20ac".repeat(4000)}\n`, shown: false },
  ];
  for (const { text, shown } of cases) {
    const session = await openSession(socket, { folders: { dockerfile: dockerfile(text) } });
    await assert.rejects(buildOn(grpc, { session: session.id }), (error) => {
      assert.ok(error instanceof StatusError, String(error));
      assert.match(error.message, /^process "\/bin\/sh -c exit 7/);
      assert.equal(error.status.details?.length, shown ? 1 : 0);
      if (!shown) return true;
      const { info, ranges } = JSON.parse(Buffer.from(error.status.details?.[0]?.value ?? []).toString());
      const lines = Buffer.from(info.data, "base64").toString().split("\n");
      assert.equal(lines[ranges[0].start.line - 1], "RUN exit 7");
      return true;
    });
    session.connection.destroy();
  }
  await grpc.unary(`${CONTROL}Info`, [Empty, Empty], {});
  grpc.close();
});

test("three hundred findings about a Dockerfile are a hundred and a word, with the lines around each", async () => {
  const grpc = await openGrpc(socket);
  const text = `FROM busybox\n${"MAINTAINER someone <someone@example.com> and some more of a line\n".repeat(300)}`;
  const session = await openSession(socket, { folders: { dockerfile: dockerfile(text) } });
  const ref = randomUUID();
  const seen = Array.fromAsync(statusOf(grpc, ref));
  const request = { ref, session: session.id, frontend: "dockerfile.v0" };
  await grpc.unary(`${CONTROL}Solve`, [SolveRequest, SolveResponse], request);
  const warnings = (await seen).flatMap((part) => part.warnings);
  assert.equal(warnings.length, 101);
  assert.match(Buffer.from(warnings.at(-1)?.short ?? []).toString(), /left out/);
  assert.ok(warnings.every(({ info }) => (info?.data.length ?? 0) < 10_000));
  const [{ info, ranges } = {}] = warnings;
  const lines = Buffer.from(info?.data ?? [])
    .toString()
    .split("\n");
  assert.match(lines[(ranges?.[0]?.start?.line ?? 0) - 1] ?? "", /^MAINTAINER/);
  grpc.close();
  session.connection.destroy();
});

test("a folder whose client fails at the very end is given back", async () => {
  const grpc = await openGrpc(socket);
  const failing: Method = async function* (requests, { metadata }) {
    const name = String(metadata["dir-name"]);
    const [path, text] = name === "dockerfile" ? ["Dockerfile", "FROM busybox\nCOPY . /\n"] : ["f", "data"];
    yield encode(Packet, { type: STAT, stat: { path, mode: 0o644, size: text.length } });
    yield encode(Packet, { type: STAT });
    for await (const body of requests) {
      const { type, id } = decode(Packet, body);
      if (type === FIN && name !== "dockerfile") throw new Error("gone at the end");
      if (type === FIN) yield encode(Packet, { type: FIN });
      if (type === FIN) return;
      if (type !== REQUEST) continue;
      yield encode(Packet, { type: DATA, id, data: Buffer.from(text) });
      yield encode(Packet, { type: DATA, id });
    }
  };
  const key = randomUUID();
  for (let times = 0; times < 2; times++) {
    const session = await openSession(socket, { methods: new Map([[METHODS.diffCopy, failing]]) }, key);
    await assert.rejects(buildOn(grpc, { session: session.id }), /gone at the end/);
    session.connection.destroy();
  }
  const used = async () => {
    const { BuildCache } = await daemon.call<{ BuildCache: { Type: string; InUse: boolean }[] }>("GET", "/system/df");
    return BuildCache.filter(({ Type, InUse }) => Type === "source.local" && InUse).length;
  };
  for (let tries = 0; (await used()) > 0 && tries < 100; tries++) await sleep(50);
  assert.equal(await used(), 0);
  grpc.close();
});

const OUTPUTS: readonly (readonly [type: string, attrs: Record<string, string>, refused: RegExp])[] = [
  ["oci", { compression: "nonsense" }, /unsupported layer compression type nonsense/],
  ["oci", { unheard: "1" }, /has no option "unheard"/],
  ["tar", { compression: "zstd" }, /has no option "compression"/],
  ["local", { compression: "zstd" }, /has no option "compression"/],
  ["moby", { compression: "nonsense" }, /unsupported layer compression type nonsense/],
  ["image", { unheard: "1" }, /has no option "unheard"/],
  ["image", { store: "false" }, /store=false/],
];

for (const [type, attrs, refused] of OUTPUTS)
  test(`an output of type ${type} with ${JSON.stringify(attrs)} is refused`, async () => {
    const grpc = await openGrpc(socket);
    const session = await openSession(socket, { folders: { dockerfile: dockerfile("FROM busybox\n") } });
    await assert.rejects(buildOn(grpc, { session: session.id, exporters: [{ type, attrs }] }), refused);
    grpc.close();
    session.connection.destroy();
  });

test("outputs are as their options ask for them", async () => {
  const grpc = await openGrpc(socket);
  const session = await openSession(socket, { folders: { dockerfile: dockerfile("FROM busybox\nRUN echo > /f\n") } });
  const common = { "annotation.org.example": "said", "source-date-epoch": "1000" };
  await buildOn(grpc, {
    session: session.id,
    exporters: [
      { type: "oci", attrs: { ...common, compression: "zstd" } },
      { type: "tar", attrs: { ...common, "platform-split": "true" } },
    ],
  });
  const [archive, files] = ["0", "1"].map((id) => session.asked.products.get(id)?.toString("latin1") ?? "");
  assert.match(archive ?? "", /layer\.v1\.tar\+zstd/);
  assert.match(archive ?? "", /"org\.example":"said"/);
  assert.match(files ?? "", /linux_[a-z0-9]+\/f/);
  const attrs = { ...common, name: "example.test/named:1", "name-canonical": "true" };
  const response = await buildOn(grpc, { session: session.id, exporters: [{ type: "moby", attrs }] });
  assert.match(response["image.name"] ?? "", /^example\.test\/named:1,example\.test\/named@sha256:/);
  const { RepoDigests } = await daemon.call<{ RepoDigests: string[] }>("GET", "/images/example.test/named:1/json");
  assert.equal(RepoDigests.length, 1);
  grpc.close();
  session.connection.destroy();
});

test("passwords in addresses go to their server alone", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.headers.authorization ?? "");
    response.end(asked.length === 1 ? "FROM busybox\nADD http://me:s3cr3t@127.0.0.1:1/x.tar /\n" : "");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const grpc = await openGrpc(socket);
  try {
    const session = await openSession(socket, { folders: {} });
    const ref = randomUUID();
    const seen = Array.fromAsync(statusOf(grpc, ref));
    const context = `http://me:s3cr3t@127.0.0.1:${(server.address() as AddressInfo).port}/Dockerfile`;
    const frontendAttrs = { context, "local-sessionid:context": session.id };
    const request = { ref, session: session.id, frontend: "dockerfile.v0", frontendAttrs };
    const solving = grpc.unary(`${CONTROL}Solve`, [SolveRequest, SolveResponse], request);
    await assert.rejects(
      solving,
      (error) => error instanceof Error && /unable to download http:\/\/\*\*\*@/.test(error.message),
    );
    assert.deepEqual(asked, [`Basic ${Buffer.from("me:s3cr3t").toString("base64")}`]);
    using call = grpc.call(`${CONTROL}ListenBuildHistory`);
    await call.send(encode(HistoryRequest, { ref, earlyExit: true }));
    call.end();
    const records = (await Array.fromAsync(call.messages())).map((body) => decode(HistoryEvent, body));
    assert.equal(records[0]?.record?.error?.details.length, 0);
    const told = JSON.stringify([await seen, records], (_, value) =>
      typeof value === "bigint" ? String(value) : value,
    );
    assert.match(told, /\*\*\*@127\.0\.0\.1/);
    assert.doesNotMatch(told, /s3cr3t/);
    assert.ok(!told.includes(session.id));
    session.connection.destroy();
  } finally {
    server.close();
    grpc.close();
  }
});

test("pruning for free space takes no more than that needs, and filters that are not known are refused", async () => {
  const grpc = await openGrpc(socket);
  const session = await openSession(socket, {
    folders: { dockerfile: dockerfile("FROM busybox\nRUN echo kept > /f\n") },
  });
  await buildOn(grpc, { session: session.id });
  const count = async () =>
    (await daemon.call<{ BuildCache: unknown[] }>("GET", "/system/df?type=build-cache")).BuildCache.length;
  const prune = async (request: Parameters<typeof encode<(typeof PruneRequest)["fields"]>>[1]) => {
    using call = grpc.call(`${CONTROL}Prune`);
    await call.send(encode(PruneRequest, { all: true, ...request }));
    call.end();
    return (await Array.fromAsync(call.messages())).length;
  };
  const before = await count();
  assert.ok(before > 0);
  assert.equal(await prune({ minFreeSpace: 1 }), 0);
  await assert.rejects(prune({ filter: ["type~=regular"] }), /invalid filter/);
  assert.equal(await count(), before);
  assert.ok((await prune({ minFreeSpace: 2 ** 50 })) > 0);
  session.connection.destroy();
  grpc.close();
});

test("a folder comes by another session of the client's, which it opened within a call", async () => {
  const grpc = await openGrpc(socket);
  const main = await openSession(socket, {
    folders: { dockerfile: dockerfile("FROM busybox\nCOPY f /\nRUN cat f\n") },
  });
  const shared = await openSession(grpc, { folders: { context: [{ path: "f", data: "shared" }] } });
  const attributes = { "local-sessionid:context": shared.id };
  await buildOn(grpc, { session: main.id, attributes });
  assert.deepEqual(shared.asked.files, ["context: f"]);
  assert.deepEqual(main.asked.files, ["dockerfile: Dockerfile"]);
  shared.connection.destroy();
  main.connection.destroy();
  grpc.close();
});
