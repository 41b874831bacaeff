/** A gRPC server on one connection, which somebody handed over. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import { decode } from "../protobuf/decode.ts";
import { encode } from "../protobuf/encode.ts";
import type { Decoded, Fields, Message, Part } from "../protobuf/message.ts";
import { type Budget, connectionBudget, frame, messagesOf } from "./frames.ts";
import { statusOf, trailersOf } from "./status.ts";
import { drained, whenOver } from "./streams.ts";

export interface CallContext {
  readonly metadata: IncomingHttpHeaders;
  /** The same for the calls of one connection, and for no others. */
  readonly connection: symbol;
  /** Aborts when the caller gave the call up, or is gone. */
  readonly signal: AbortSignal;
}

/** Answers a call: yields the answer's messages. */
export type Method = (requests: AsyncIterable<Buffer>, context: CallContext) => AsyncIterable<Buffer>;

/** One message in, one out. */
export function unary<I extends Fields, O extends Fields>(
  input: Message<I>,
  output: Message<O>,
  handle: (request: Decoded<I>, context: CallContext) => Promise<Part<O>> | Part<O>,
): Method {
  return async function* (requests, context) {
    yield encode(output, await handle(decode(input, await first(requests)), context));
  };
}

/** One message in, any number out; the next is asked for when the caller took the last. */
export function streaming<I extends Fields, O extends Fields>(
  input: Message<I>,
  output: Message<O>,
  handle: (request: Decoded<I>, context: CallContext) => AsyncIterable<Part<O>>,
): Method {
  return async function* (requests, context) {
    for await (const part of handle(decode(input, await first(requests)), context)) yield encode(output, part);
  };
}

async function first(requests: AsyncIterable<Buffer>): Promise<Buffer> {
  for await (const request of requests) return request;
  throw new EngineError("invalid", "a gRPC call has no message");
}

/** Calls of one connection that may be under way. */
const MAX_CALLS = 200;

/** Resolves when the connection is over and every call of it has ended. */
export async function serveGrpc(connection: Duplex, methods: ReadonlyMap<string, Method>): Promise<void> {
  const { performServerHandshake } = process.getBuiltinModule("node:http2");
  const session = performServerHandshake(connection, { settings: { maxConcurrentStreams: MAX_CALLS } });
  const running = new Set<Promise<void>>();
  const token = Symbol("connection");
  const budget = connectionBudget();
  session.on("stream", (stream: ServerHttp2Stream, metadata: IncomingHttpHeaders) => {
    const call = answer(stream, { metadata, connection: token, budget }, methods);
    running.add(call);
    void call.finally(() => running.delete(call));
  });
  await new Promise<void>((resolve) => {
    session.on("error", () => {}).once("close", resolve);
    whenOver(connection, () => session.destroy());
  });
  await Promise.all(running);
}

/** Never rejects. */
async function answer(
  stream: ServerHttp2Stream,
  { metadata, connection, budget }: Omit<CallContext, "signal"> & { readonly budget: Budget },
  methods: ReadonlyMap<string, Method>,
): Promise<void> {
  const controller = new AbortController();
  stream.on("error", () => {});
  stream.once("close", () => controller.abort(new EngineError("cancelled", "the client gave the call up")));
  let trailers = trailersOf({});
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  try {
    const method = methods.get(String(metadata[":path"]));
    if (method === undefined)
      throw new EngineError("not-implemented", `there is no method ${String(metadata[":path"])}`);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    for await (const body of method(messagesOf(stream.iterator({ destroyOnReturn: false }), budget), {
      metadata,
      connection,
      signal: controller.signal,
    })) {
      if (!stream.write(frame(body))) await drained(stream);
      if (stream.destroyed) break;
    }
  } catch (error) {
    trailers = trailersOf(statusOf(error));
  }
  if (stream.destroyed) return;
  if (!stream.headersSent)
    stream.respond({ ":status": 200, "content-type": "application/grpc", ...trailers }, { endStream: true });
  else stream.end();
  stream.resume();
}
