/** The server side of RFC 6455, as far as attach needs it: binary frames out, data, ping and close in; no extensions. */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { EngineError, errorMessage } from "../base/errors.ts";
import type { PreparedAttach } from "../containers/containers.ts";
import { close, release, type Takeover } from "./hijack.ts";

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const PROTOCOL_ERROR = 1002;
const NORMAL = 1000;

/** The answer's Sec-WebSocket-Accept. Throws "invalid" for what is no websocket handshake. */
export function acceptKey({ headers }: IncomingMessage): string {
  const key = headers["sec-websocket-key"] ?? "";
  if (Buffer.from(key, "base64").length !== 16 || headers["sec-websocket-version"] !== "13")
    throw new EngineError("invalid", "bad websocket handshake");
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

export async function serveWebSocket(prepared: PreparedAttach, takeover: Takeover): Promise<void> {
  const accept = acceptKey(takeover.request);
  const { socket } = release(takeover) ?? {};
  if (socket === undefined) return;
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  const stream = new WebSocketStream(socket, !prepared.raw);
  try {
    await prepared.run(stream);
  } catch (error) {
    takeover.logger.log("debug", "attached websocket failed", { error: errorMessage(error) });
  } finally {
    stream.closeWith(NORMAL);
    close(socket);
  }
}

/** Payloads of the client's data frames come out; what is written goes out in binary frames, without the log frames' headers. */
class WebSocketStream extends Duplex {
  readonly #socket: Duplex;
  readonly #reader = new FrameReader();
  readonly #strip: FrameStripper | undefined;
  #closed = false;

  constructor(socket: Duplex, framed: boolean) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#strip = framed ? new FrameStripper() : undefined;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("end", () => this.push(null));
    socket.on("close", () => this.destroy());
  }

  #receive(chunk: Buffer): void {
    try {
      for (const { opcode, payload } of this.#reader.read(chunk)) this.#take(opcode, payload);
    } catch {
      this.closeWith(PROTOCOL_ERROR);
      this.push(null);
    }
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.ping) this.#socket.write(encodeFrame(OPCODE.pong, payload));
    else if (opcode === OPCODE.close) {
      this.closeWith(NORMAL);
      this.push(null);
      // There is no half-close: when what was sent before is read the connection is over.
      this.once("end", () => this.destroy());
    } else if (opcode !== OPCODE.pong && payload.length > 0 && !this.readableEnded && !this.push(payload))
      this.#socket.pause();
  }

  /** Says goodbye once; nothing is written after it. */
  closeWith(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    const body = Buffer.alloc(2);
    body.writeUInt16BE(code);
    if (this.#socket.writable) this.#socket.write(encodeFrame(OPCODE.close, body));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const payload = this.#strip === undefined ? chunk : this.#strip.strip(chunk);
    if (this.#closed || !this.#socket.writable || payload.length === 0) done();
    else this.#socket.write(encodeFrame(OPCODE.binary, payload), () => done());
  }

  override _final(done: () => void): void {
    this.closeWith(NORMAL);
    done();
  }
}

function encodeFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
  const header = Buffer.alloc(2 + extra);
  header[0] = 0x80 | opcode;
  header[1] = extra === 0 ? length : extra === 2 ? 126 : 127;
  if (extra === 2) header.writeUInt16BE(length, 2);
  if (extra === 8) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, payload]);
}

interface Piece {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Cuts the client's bytes into payloads. Data is handed on piece by piece, so a frame's length bounds nothing in memory. */
export class FrameReader {
  #header = Buffer.alloc(0);
  #opcode = 0;
  #left = 0;
  #mask = Buffer.alloc(4);
  #at = 0;
  #control: Buffer[] = [];

  /** Throws on a violation of the protocol; the connection is of no use then. */
  *read(chunk: Buffer): Generator<Piece> {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left === 0) {
        const used = this.#readHeader(rest);
        if (used === undefined) return;
        rest = rest.subarray(used);
        if (this.#left === 0) yield { opcode: this.#opcode, payload: Buffer.alloc(0) };
        continue;
      }
      const payload = this.#unmask(rest.subarray(0, this.#left));
      rest = rest.subarray(payload.length);
      this.#left -= payload.length;
      if (this.#opcode < OPCODE.close) yield { opcode: this.#opcode, payload };
      else {
        this.#control.push(payload);
        if (this.#left > 0) continue;
        yield { opcode: this.#opcode, payload: Buffer.concat(this.#control) };
        this.#control = [];
      }
    }
  }

  /** Bytes of `chunk` that belonged to the header; undefined when it is not complete yet. */
  #readHeader(chunk: Buffer): number | undefined {
    const before = this.#header.length;
    const bytes = Buffer.concat([this.#header, chunk.subarray(0, 14)]);
    const short = (bytes[1] ?? 0) & 0x7f;
    const extra = short === 127 ? 8 : short === 126 ? 2 : 0;
    const size = 2 + extra + 4;
    if (bytes.length < size) {
      this.#header = bytes;
      return undefined;
    }
    const first = bytes[0] ?? 0;
    const length = extra === 0 ? BigInt(short) : extra === 2 ? BigInt(bytes.readUInt16BE(2)) : bytes.readBigUInt64BE(2);
    if ((first & 0x70) !== 0 || ((bytes[1] ?? 0) & 0x80) === 0) throw new Error("bad websocket frame");
    this.#opcode = first & 0x0f;
    const control = this.#opcode >= OPCODE.close;
    if (length > BigInt(Number.MAX_SAFE_INTEGER) || (control && (length > 125n || (first & 0x80) === 0)))
      throw new Error("bad websocket frame");
    if (this.#opcode > OPCODE.pong || (this.#opcode > OPCODE.binary && !control))
      throw new Error("bad websocket opcode");
    this.#left = Number(length);
    this.#mask = Buffer.from(bytes.subarray(size - 4, size));
    this.#at = 0;
    this.#header = Buffer.alloc(0);
    return size - before;
  }

  #unmask(bytes: Buffer): Buffer {
    const plain = Buffer.allocUnsafe(bytes.length);
    for (let index = 0; index < bytes.length; index++)
      plain[index] = (bytes[index] ?? 0) ^ (this.#mask[(this.#at + index) & 3] ?? 0);
    this.#at = (this.#at + bytes.length) & 3;
    return plain;
  }
}

/** Removes the 8-byte headers of a framed stream, however it is cut. */
export class FrameStripper {
  #header = Buffer.alloc(0);
  #left = 0;

  strip(chunk: Buffer): Buffer {
    const parts: Buffer[] = [];
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#left === 0) {
        const need = 8 - this.#header.length;
        this.#header = Buffer.concat([this.#header, rest.subarray(0, need)]);
        rest = rest.subarray(need);
        if (this.#header.length < 8) break;
        this.#left = this.#header.readUInt32BE(4);
        this.#header = Buffer.alloc(0);
        continue;
      }
      const part = rest.subarray(0, this.#left);
      parts.push(part);
      this.#left -= part.length;
      rest = rest.subarray(part.length);
    }
    return Buffer.concat(parts);
  }
}
