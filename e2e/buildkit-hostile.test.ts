/** What clients of BuildKit's interface may do to others and to the daemon: neither take over, nor fill its memory, nor learn a password. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { StatusError } from "../src/buildkit/grpc/status.ts";
import { CONTROL, Empty, SolveRequest, SolveResponse } from "../src/buildkit/wire/control.ts";
import {
  BRIDGE,
  BUILD_ID,
  GatewaySolveRequest,
  GatewaySolveResponse,
  PongResponse,
  ReturnRequest,
} from "../src/buildkit/wire/gateway.ts";
import { buildOn, openGrpc, openSession, type TestFile } from "../src/testing/buildkit-client.ts";
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
