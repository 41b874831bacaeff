import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { type TestContext, test } from "node:test";
import { GrpcClient } from "../grpc/client.ts";
import { type Method, serveGrpc, unary } from "../grpc/server.ts";
import { Empty } from "../wire/control.ts";
import { CheckAgentRequest, METHODS } from "../wire/session.ts";
import { Session } from "./session.ts";

/** A session whose client answers by these. */
function sessionWith(t: TestContext, methods: ReadonlyMap<string, Method>): Session {
  const [here, there] = duplexPair();
  const serving = serveGrpc(there, methods);
  const client = new GrpcClient(here);
  const session = new Session(client, { id: "id", sharedKey: "", methods: new Set(methods.keys()) });
  t.after(async () => {
    client.close();
    await serving;
  });
  return session;
}

const { signal } = new AbortController();

test("what is sent to a client that ended the call is an error, so that a walk ends with it", async (t) => {
  // biome-ignore lint/correctness/useYield: it ends the call at once.
  const refuses: Method = async function* () {
    throw new Error("no room");
  };
  const session = sessionWith(t, new Map([[METHODS.send, refuses]]));
  using call = session.sending("0", signal);
  await assert.rejects(Array.fromAsync(call.messages()), /no room/);
  call[Symbol.dispose]();
  await assert.rejects(
    async () => {
      for (let sent = 0; sent < 10_000; sent++) await call.send(Buffer.alloc(1000));
    },
    { kind: "cancelled" },
  );
});

test("an agent's connection that nobody read ends its call", async (t) => {
  const over = Promise.withResolvers<void>();
  const forward: Method = async function* (_, context) {
    context.signal.addEventListener("abort", () => over.resolve(), { once: true });
    yield Buffer.alloc(0);
    await over.promise;
  };
  const known = unary(CheckAgentRequest, Empty, () => ({}));
  const methods = new Map([
    [METHODS.checkAgent as string, known],
    [METHODS.forwardAgent as string, forward],
  ]);
  const session = sessionWith(t, methods);
  const agent = await session.agent("default", signal);
  const connection = await agent?.connect(signal);
  connection?.on("error", () => {}).destroy();
  await over.promise;
});
