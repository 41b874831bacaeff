/**
 * HTTP/1.1 as a client of the Engine API needs it: one request per connection, bodies that stream both ways, and a
 * connection handed over after the head (hijack). node:http costs 7 ms of start-up; this costs less than one.
 */
import type { Duplex } from "node:stream";
import { EngineError, errnoOf } from "../base/errors.ts";

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream goes out in chunks, waiting for the socket to drain. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Ask for the connection itself. */
  readonly upgrade?: boolean | undefined;
}

export interface Response {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The decoded body; the connection closes when it ends or is left. */
  readonly body: AsyncIterable<Buffer>;
  /** Everything after the head, both ways; for 101 and for a hijacked 200. */
  hijack(): Duplex;
  /** Closes the connection at once. Idempotent. */
  close(): void;
}

const MAX_HEAD = 256 * 1024;

/** Resolves when the response's head is there; rejects when the connection breaks before. The body may still be going out then. */
export async function exchange(socket: Duplex, request: Request): Promise<Response> {
  ignoreBrokenPipe(socket);
  const refusal = new AbortController();
  const head = readHead(socket).then((answer) => {
    if (answer.status >= 300) refusal.abort();
    return answer;
  });
  const sent = send(socket, request, refusal.signal);
  const { status, headers, rest } = await Promise.race([head, sent.then(() => head)]);
  if (rest.length > 0) socket.unshift(rest);
  return {
    status,
    headers,
    body: { [Symbol.asyncIterator]: () => readBody(socket, status, headers, request.method) },
    hijack: () => socket,
    close: () => socket.destroy(),
  };
}

async function send(
  socket: Duplex,
  { method, path, host, headers, body, upgrade }: Request,
  refused: AbortSignal,
): Promise<void> {
  const fixed = typeof body === "string" ? Buffer.from(body) : body instanceof Uint8Array ? body : undefined;
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  lines.push(upgrade ? "Connection: Upgrade\r\nUpgrade: tcp" : "Connection: close");
  if (fixed !== undefined) lines.push(`Content-Length: ${fixed.length}`);
  else if (body !== undefined) lines.push("Transfer-Encoding: chunked");
  else if (method !== "GET" && method !== "HEAD") lines.push("Content-Length: 0");
  // In one piece: a server that answers after the head alone may close before a second one.
  socket.cork();
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  if (fixed !== undefined) socket.write(fixed);
  socket.uncork();
  if (fixed === undefined && body !== undefined) await sendChunks(socket, body as AsyncIterable<Uint8Array>, refused);
}

/**
 * A server may answer and close before it has read everything. Node would then throw the socket away with the answer in it,
 * so the failed write is kept from it: the reading side tells how it ended.
 */
function ignoreBrokenPipe(socket: Duplex): void {
  const { _write, _writev } = socket;
  type Done = (error?: Error | null) => void;
  const quiet = (done: Done) => (error?: Error | null) => done(errnoOf(error) === "EPIPE" ? null : error);
  socket._write = (chunk, encoding, done) => _write.call(socket, chunk, encoding, quiet(done));
  if (typeof _writev === "function") socket._writev = (chunks, done) => _writev.call(socket, chunks, quiet(done));
}

/** Stops when the answer is a refusal. A source that fails closes the connection. */
async function sendChunks(socket: Duplex, body: AsyncIterable<Uint8Array>, refused: AbortSignal): Promise<void> {
  try {
    for await (const chunk of body) {
      await nextTurn();
      if (refused.aborted || socket.destroyed) return;
      if (chunk.length > 0 && !writeChunk(socket, chunk)) await drained(socket);
    }
    socket.write("0\r\n\r\n");
  } catch (error) {
    socket.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

/** Resolves when the event loop has looked at what came: an answer, or an abort. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** False: the socket wants a pause. */
function writeChunk(socket: Duplex, chunk: Uint8Array): boolean {
  socket.cork();
  socket.write(`${chunk.length.toString(16)}\r\n`);
  socket.write(chunk);
  const room = socket.write("\r\n");
  socket.uncork();
  return room;
}

function drained(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ["drain", "close", "error"]) socket.off(event, done);
      resolve();
    };
    for (const event of ["drain", "close", "error"]) socket.once(event, done);
  });
}

interface Head {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly rest: Buffer;
}

/** A server that wants another certificate says so only after the handshake, by ending it. */
const NOT_LET_IN = "It may not accept this client's TLS certificate: name one with --tlscert and --tlskey.";

/** Skips interim answers (100 Continue). */
function readHead(socket: Duplex): Promise<Head> {
  return new Promise((resolve, reject) => {
    let held: Buffer = Buffer.alloc(0);
    const settle = (act: () => void) => {
      socket.off("readable", onReadable);
      socket.off("end", onEnd);
      socket.off("close", onEnd);
      socket.off("error", onError);
      // A later fault shows up where the body is read; without a listener it would end the process.
      socket.on("error", () => {});
      act();
    };
    const onEnd = () =>
      settle(() => {
        const hint = "encrypted" in socket ? NOT_LET_IN : undefined;
        reject(new EngineError("unavailable", "the daemon closed the connection without an answer", { hint }));
      });
    const onError = (error: Error) => settle(() => reject(error));
    const onReadable = () => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
        held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
        for (let end = endOfHead(held); end !== undefined; end = endOfHead(held)) {
          const head = parseHead(held.toString("latin1", 0, end));
          if (head === undefined)
            return settle(() => reject(new EngineError("internal", "the answer is no HTTP response")));
          held = held.subarray(end + 4);
          if (!isInterim(head.status)) return settle(() => resolve({ ...head, rest: held }));
        }
      }
    };
    socket.on("readable", onReadable);
    socket.once("end", onEnd);
    socket.once("close", onEnd);
    socket.once("error", onError);
  });
}

const isInterim = (status: number) => status >= 100 && status < 200 && status !== 101;

/** Where the head ends, or where it must have ended. */
function endOfHead(held: Buffer): number | undefined {
  const end = held.indexOf("\r\n\r\n");
  if (end >= 0) return end;
  return held.length < MAX_HEAD ? undefined : MAX_HEAD;
}

function parseHead(text: string): Omit<Head, "rest"> | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const match = /^HTTP\/1\.[01] (\d{3})/.exec(first);
  if (match === null) return undefined;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(match[1]), headers };
}

async function* readBody(
  socket: Duplex,
  status: number,
  headers: Record<string, string>,
  method: string,
): AsyncGenerator<Buffer> {
  try {
    if (method === "HEAD" || status === 204 || status === 304 || status === 101) return;
    if ((headers["transfer-encoding"] ?? "").toLowerCase().includes("chunked")) yield* unchunk(socket);
    else if (headers["content-length"] !== undefined) yield* exactly(socket, Number(headers["content-length"]));
    else yield* socket as AsyncIterable<Buffer>;
  } finally {
    socket.destroy();
  }
}

const cutOff = () => new EngineError("unavailable", "unexpected EOF");

async function* exactly(socket: Duplex, length: number): AsyncGenerator<Buffer> {
  let left = length;
  if (left === 0) return;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    yield chunk.length <= left ? chunk : chunk.subarray(0, left);
    left -= chunk.length;
    if (left <= 0) return;
  }
  throw cutOff();
}

/** Yields a chunk's parts as they arrive, so a stream of small messages is never held back. */
async function* unchunk(socket: Duplex): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  let left = 0;
  let state: "size" | "data" | "end" = "size";
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (;;) {
      if (state === "data") {
        if (held.length === 0) break;
        const part = held.subarray(0, left);
        held = held.subarray(part.length);
        left -= part.length;
        yield part;
        if (left > 0) break;
        state = "end";
      } else if (state === "end") {
        if (held.length < 2) break;
        held = held.subarray(2);
        state = "size";
      } else {
        const end = held.indexOf("\r\n");
        if (end < 0) break;
        left = Number.parseInt(held.toString("latin1", 0, end), 16);
        if (Number.isNaN(left)) throw new EngineError("internal", "malformed chunk from the daemon");
        held = held.subarray(end + 2);
        if (left === 0) return;
        state = "data";
      }
    }
  }
  throw cutOff();
}
