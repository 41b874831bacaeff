/**
 * Attach and exec take the connection over: after the headers it carries raw bytes in both directions, and each side may close its
 * half. With `Upgrade: tcp` the answer is 101; clients that send no such header get 200 and then the same bytes.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { PreparedAttach } from "../containers/containers.ts";

/** Milliseconds a client may keep its half open after ours ended. */
const LINGER = 10_000;

/** From this version on clients are told whether the stream has frames. */
const TELLS_FRAMES = 42;

export interface Takeover {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Bytes that came with the headers. */
  readonly head: Uint8Array | undefined;
  readonly upgraded: boolean;
  readonly version: number;
  readonly logger: Logger;
}

export async function hijack(prepared: PreparedAttach, takeover: Takeover): Promise<void> {
  const { socket, client } = release(takeover) ?? {};
  if (socket === undefined || client === undefined) return;
  // HTTP/2 must find no write of somebody else under way: Node ends the process over its completion.
  await new Promise<void>((resolve) => socket.write(preamble(prepared, takeover), () => resolve()));
  try {
    await prepared.run(client);
  } catch (error) {
    takeover.logger.log("debug", "attached stream failed", { url: takeover.request.url, error: errorMessage(error) });
    if (socket.writable) socket.write(frame(prepared.raw, `${errorMessage(error)}\r\n`));
  } finally {
    close(socket);
  }
}

export interface Released {
  /** After an upgrade whose request had a body this is Node's stand-in for the socket. */
  readonly socket: Duplex;
  /** The connection as its user reads and writes it. */
  readonly client: Duplex;
}

/** The bare connection with everything the client sent after its request; undefined when the client is gone. */
export function release({ response, head, upgraded }: Takeover): Released | undefined {
  const socket = response.socket;
  if (socket === null || socket.destroyed) return undefined;
  if (!upgraded) stopParsing(socket);
  response.detachSocket(socket);
  socket.on("error", () => {});
  // The client closed its half while we prepared, and nobody was there to be told.
  if (socket.readableEnded) return { socket, client: new HalfClosed(socket, bytesOf(head)) };
  // As a stream that nobody read yet: it flows when its reader comes, by whatever way of reading.
  (socket as { readableFlowing: boolean | null }).readableFlowing = null;
  for (const bytes of bytesOf(head)) socket.unshift(bytes);
  return { socket, client: socket };
}

const bytesOf = (head: Uint8Array | undefined): Uint8Array[] => (head === undefined || head.length === 0 ? [] : [head]);

/** A connection whose other side sent its last bytes before anyone read them. */
class HalfClosed extends Duplex {
  readonly #socket: Duplex;

  constructor(socket: Duplex, last: readonly Uint8Array[]) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    for (const bytes of last) this.push(bytes);
    this.push(null);
    socket.once("close", () => this.destroy());
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#socket.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }
}

/**
 * Takes the bytes away from the HTTP parser: what arrives from now on waits in the socket. Answers can still be written.
 */
export function stopParsing(socket: Socket): void {
  // A listener for "data" makes Node give up reading behind the stream's back.
  socket.on("data", () => {});
  for (const event of ["data", "end", "drain", "timeout"]) socket.removeAllListeners(event);
  socket.pause();
  // The server's watch over slow requests must forget the connection.
  (socket as { parser?: { remove?: () => void } | null }).parser?.remove?.();
}

function preamble({ raw }: PreparedAttach, { request, response, upgraded, version }: Takeover): string {
  const type =
    raw || version < TELLS_FRAMES ? "application/vnd.docker.raw-stream" : "application/vnd.docker.multiplexed-stream";
  const lines = [upgraded ? "HTTP/1.1 101 UPGRADED" : "HTTP/1.1 200 OK", `Content-Type: ${type}`];
  if (upgraded) lines.push("Connection: Upgrade", `Upgrade: ${request.headers.upgrade === "h2c" ? "h2c" : "tcp"}`);
  for (const [name, value] of Object.entries(response.getHeaders())) lines.push(`${name}: ${String(value)}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** A message to the client's standard error in the stream's own form. */
function frame(raw: boolean, message: string): Buffer {
  const body = Buffer.from(message);
  if (raw) return body;
  const header = Buffer.alloc(8);
  header[0] = 2;
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

/** Ends our half, reads the client's to its end so that nothing unread resets the connection, and closes. */
export function close(socket: Duplex): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), LINGER);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
  socket.end();
  socket.resume();
}
