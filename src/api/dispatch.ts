/** From a request to its answer: version, route, parameters, handler, reply, and what becomes of every failure. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { errorKind } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Engine } from "../engine/engine.ts";
import type { Authorization } from "./authorization.ts";
import { readBody, readJsonBody } from "./body.ts";
import { adaptReply } from "./compat.ts";
import type { EarlyBytes } from "./early-bytes.ts";
import { failureOf } from "./errors.ts";
import { hijack, stopParsing, type Takeover } from "./hijack.ts";
import { linger, takeLeftover } from "./leftover.ts";
import { parseQuery, readParams } from "./query.ts";
import { answerOf, discard, encode, send } from "./reply.ts";
import type { Call, Headers, Reply } from "./route.ts";
import type { Match, Router } from "./router.ts";
import { serveWebSocket } from "./websocket.ts";

export interface Incoming {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Set on an upgrade: bytes that came with the request. */
  readonly head?: Uint8Array | undefined;
}

/** A request that was answered, or broke off. */
export interface SeenRequest {
  readonly method: string;
  /** The route's template; undefined: no route had it. */
  readonly route: string | undefined;
  readonly status: number;
  readonly seconds: number;
  /** How long it took says how long the client listened. */
  readonly streamed: boolean;
}

export interface RequestObserver {
  began(): void;
  ended(request: SeenRequest): void;
}

export interface DispatchOptions {
  readonly engine: Engine;
  readonly router: Router;
  readonly logger: Logger;
  /** Sent with every answer. */
  readonly headers: Headers;
  readonly early: EarlyBytes;
  readonly observer?: RequestObserver | undefined;
  readonly authorization?: Authorization | undefined;
}

export interface Dispatcher {
  /** Answers; never throws, never rejects. */
  handle(incoming: Incoming): Promise<void>;
  /** Whether this request asks for a connection of its own and its route gives one. */
  upgrades(request: IncomingMessage): boolean;
}

export function createDispatcher(options: DispatchOptions): Dispatcher {
  const { router, logger, observer } = options;
  return {
    async handle(incoming) {
      const { request, response } = incoming;
      const began = performance.now();
      const seen: Seen = { route: undefined, streamed: false };
      observer?.began();
      response.once("close", () => {
        const [ms, status, method] = [performance.now() - began, response.statusCode, request.method ?? ""];
        logger.log("debug", "request", { method, url: request.url, status, ms: Math.round(ms) });
        observer?.ended({ method, route: seen.route, status, seconds: ms / 1000, streamed: seen.streamed });
      });
      try {
        await answer(incoming, options, seen);
      } catch (error) {
        await fail(incoming, error, logger);
      }
    },

    upgrades(request) {
      try {
        const { takesOver } = router.match(request.method ?? "", splitUrl(request).pathname).route;
        if (takesOver === undefined) return false;
        return (request.headers.upgrade?.toLowerCase() === "websocket") === (takesOver === "websocket");
      } catch {
        return false;
      }
    },
  };
}

/** What became known of a request on its way. */
interface Seen {
  route: string | undefined;
  streamed: boolean;
}

const WHOLE: ReadonlySet<Reply["kind"]> = new Set(["json", "text", "empty"]);

async function answer(incoming: Incoming, options: DispatchOptions, seen: Seen): Promise<void> {
  const { request, response } = incoming;
  for (const [name, value] of Object.entries(options.headers)) response.setHeader(name, value);
  const { pathname, search } = splitUrl(request);
  const match = options.router.match(request.method ?? "", pathname);
  seen.route = match.route.path;
  if (match.route.takesOver === "tcp" && incoming.head === undefined) holdConnection(incoming, options.early);
  const query = readParams(match.route.query, parseQuery(search));
  const signal = abortWithClient(response);
  const { judge, body } = await judgedBy(options.authorization, incoming);
  const call = { engine: options.engine, version: match.version, path: match.path, query, signal, json };
  const asked = { ...call, request: body === undefined ? request : withBody(request, body) };
  const reply = adaptReply(match.route, match.version, await match.route.handle(asked as unknown as Call));
  seen.streamed = !WHOLE.has(reply.kind);
  await judge(reply, response).catch((error: unknown) => {
    discard(reply);
    throw error;
  });
  await deliver(reply, incoming, match, options, signal);

  function json<T>(schema: Parameters<typeof readJsonBody<T>>[1]): Promise<T | undefined> {
    return readJsonBody(request, schema, body);
  }
}

/** Has the plug-ins asked about the request; `judge` asks them about its answer. `body`: what was read of the request for them. */
async function judgedBy(authorization: Authorization | undefined, { request, head }: Incoming) {
  if (!authorization?.active) return { judge: async () => {}, body: undefined };
  const body = authorization.seesBody(request) ? await readBody(request) : undefined;
  await authorization.judgeRequest(request, body);
  const judge = async (reply: Reply, response: ServerResponse) => {
    await authorization.judgeAnswer(request, body, answerOf(reply, response.getHeaders(), head !== undefined));
  };
  return { judge, body };
}

/** The request with a body that was read already. */
function withBody(request: IncomingMessage, body: Buffer): IncomingMessage {
  const { headers, rawHeaders, method, url, socket, complete, httpVersion } = request;
  const again = Readable.from(body.length === 0 ? [] : [body]);
  return Object.assign(again, { headers, rawHeaders, method, url, socket, complete, httpVersion }) as IncomingMessage;
}

function deliver(
  reply: Reply,
  incoming: Incoming,
  { version }: Match,
  options: DispatchOptions,
  signal: AbortSignal,
): Promise<void> {
  if (reply.kind !== "hijack" && reply.kind !== "websocket") return send(reply, incoming.response, signal);
  const upgraded = incoming.head !== undefined;
  const head = incoming.head ?? options.early.take(incoming.request.socket);
  const takeover: Takeover = { ...incoming, head, upgraded, version, logger: options.logger };
  return reply.kind === "hijack" ? hijack(reply.prepared, takeover) : serveWebSocket(reply.prepared, takeover);
}

/** What the client sends after this request is not HTTP, also while we prepare. A body is still the parser's to read. */
function holdConnection({ request, response }: Incoming, early: EarlyBytes): void {
  const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
  early.expect(request);
  response.shouldKeepAlive = false;
  if (length === "0" && encoding === undefined) {
    stopParsing(request.socket);
    response.once("finish", () => request.socket.destroySoon());
  }
}

/** Aborts when the client's half of the connection ends: it is gone, or wants nothing further. */
function abortWithClient(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const { socket } = response;
  socket?.once("end", abort);
  response.once("finish", () => socket?.off("end", abort));
  response.once("close", () => {
    socket?.off("end", abort);
    if (!response.writableFinished) abort();
  });
  return controller.signal;
}

function splitUrl({ url = "/" }: IncomingMessage): { pathname: string; search: string } {
  const mark = url.indexOf("?");
  return mark < 0 ? { pathname: url, search: "" } : { pathname: url.slice(0, mark), search: url.slice(mark + 1) };
}

/** Answers with the error, or cuts the connection when an answer is already under way. */
async function fail({ request, response }: Incoming, error: unknown, logger: Logger): Promise<void> {
  const { status, body } = failureOf(error, request.headers["user-agent"], logger);
  if (response.headersSent || response.destroyed || response.socket === null) {
    if (errorKind(error) !== "cancelled")
      logger.log("warn", "answer cut off", { url: request.url, error: body.message });
    response.destroy();
    return;
  }
  const whole = await takeLeftover(request);
  if (response.destroyed) return;
  // What is left of the body would be read as the next request.
  if (!whole) response.shouldKeepAlive = false;
  for (const name of ["Content-Type", "Content-Length"]) response.removeHeader(name);
  const text = Buffer.from(encode(body));
  if (status === 304) response.writeHead(status);
  else response.writeHead(status, { "Content-Type": "application/json", "Content-Length": text.length });
  if (status !== 304 && request.method !== "HEAD") response.write(text);
  if (!whole) await linger(request);
  response.end();
}
