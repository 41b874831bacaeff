/** The one place that writes answers. Every stream waits for a slow client instead of holding what it does not take. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { EngineError, errorMessage } from "../base/errors.ts";
import type { Answer } from "./authorization.ts";
import type { Headers, Reply, WriteLine } from "./route.ts";

type Plain = Exclude<Reply, { kind: "hijack" | "websocket" }>;

/**
 * Resolves when the answer is complete or the client is gone. Rejects when the handler's part failed: before the headers the
 * caller may still answer with an error, after them it can only cut the connection.
 */
export async function send(reply: Plain, response: ServerResponse, signal: AbortSignal): Promise<void> {
  switch (reply.kind) {
    case "json":
      return sendJson(response, reply.status, reply.value, reply.headers);
    case "text":
      return sendText(response, reply);
    case "empty":
      response.writeHead(reply.status, reply.headers).end();
      return;
    case "bytes":
      return sendBytes(response, reply, signal);
    case "lines":
      return sendStream(response, "application/json", mapLines(reply.source), reply, signal);
    case "progress":
      return sendProgress(response, reply.run);
    case "later":
      response.writeHead(200, { "Content-Type": "application/json" }).flushHeaders();
      response.end(encode(await reply.value));
  }
}

/** What will be sent, as far as that is known now: of streams and connections how they begin. The body only where it is JSON. */
export function answerOf(reply: Reply, common: OutgoingHttpHeaders, upgraded: boolean): Answer {
  const json = { ...common, "Content-Type": "application/json" };
  switch (reply.kind) {
    case "json":
      return { status: reply.status, headers: { ...json, ...reply.headers }, body: encode(reply.value) };
    case "text":
    case "empty":
      return { status: reply.status, headers: { ...common, ...reply.headers }, body: undefined };
    case "bytes":
      return { status: 200, headers: { ...common, "Content-Type": reply.type, ...reply.headers }, body: undefined };
    case "hijack":
    case "websocket":
      return { status: upgraded ? 101 : 200, headers: common, body: undefined };
    default:
      return { status: 200, headers: json, body: undefined };
  }
}

/** Ends what was begun for an answer that is not sent. */
export function discard(reply: Reply): void {
  if (reply.kind === "later") reply.value.catch(() => {});
  if (reply.kind !== "bytes" && reply.kind !== "lines") return;
  const source = reply.source as Partial<Readable> & AsyncIterable<unknown>;
  if (source.destroy !== undefined) source.on?.("error", () => {}).destroy?.();
  else
    void source[Symbol.asyncIterator]()
      .return?.()
      .catch(() => {});
}

/** JSON as Go's encoder ends it: with a newline. */
export const encode = (value: unknown): string => `${JSON.stringify(value)}\n`;

export function sendJson(response: ServerResponse, status: number, value: unknown, headers: Headers = {}): void {
  const body = Buffer.from(encode(value));
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": body.length, ...headers });
  response.end(body);
}

function sendText(response: ServerResponse, { status, text, headers }: Extract<Reply, { kind: "text" }>): void {
  const body = Buffer.from(text);
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": body.length,
    ...headers,
  });
  response.end(body);
}

function sendBytes(
  response: ServerResponse,
  reply: Extract<Reply, { kind: "bytes" }>,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
  return sendStream(response, reply.type, reply.source, reply, signal);
}

async function* mapLines(source: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of source) yield encode(value);
}

async function sendStream(
  response: ServerResponse,
  type: string,
  source: AsyncIterable<Uint8Array | string>,
  { eager = false, reused = false }: { readonly eager?: boolean; readonly reused?: boolean },
  signal: AbortSignal,
): Promise<void> {
  const stop = () => (source as Partial<Readable>).destroy?.();
  signal.addEventListener("abort", stop, { once: true });
  const iterator = source[Symbol.asyncIterator]();
  try {
    // Asking first: a source that subscribes does so now, before the client can know that it may begin.
    let pending = iterator.next();
    if (!eager) pending = Promise.resolve(await pending);
    response.writeHead(200, { "Content-Type": type });
    if (eager) response.flushHeaders();
    for (let item = await pending; item.done !== true && !signal.aborted; item = await iterator.next())
      if (reused) await written(response, item.value);
      else if (!response.write(item.value)) await drained(response);
    response.end();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
    // Not awaited: a generator that waits for its next value ends by the signal, not by this call.
    void iterator.return?.().catch(() => {});
  }
}

/** Resolves when the kernel has the bytes, or the client is gone. */
function written(response: ServerResponse, bytes: Uint8Array | string): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("close", done);
      resolve();
    };
    response.once("close", done);
    response.write(bytes, done);
  });
}

/** Resolves when the response takes more, or never will. */
export function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.once("drain", done).once("close", done);
  });
}

/** Lines of progress; once one is out, a failure is told as a last line in the form that Docker's clients raise as an error. */
async function sendProgress(response: ServerResponse, run: (write: WriteLine) => Promise<void>): Promise<void> {
  const begin = () => {
    if (!response.headersSent) response.writeHead(200, { "Content-Type": "application/json" });
  };
  try {
    await run((line) => {
      begin();
      response.write(encode(line).replace("\n", "\r\n"));
    });
    begin();
  } catch (error) {
    if (!response.headersSent) throw error;
    response.write(encode(progressError(error)).replace("\n", "\r\n"));
  }
  response.end();
}

function progressError(error: unknown): object {
  const hint = error instanceof EngineError && error.hint !== undefined ? `\n${error.hint}` : "";
  const message = errorMessage(error) + hint;
  return { errorDetail: { message }, error: message };
}
