/**
 * Several streams over one connection, opened by either side. Each has its own flow control, so that one whose reader is slow holds up no
 * other.
 *
 * A frame is a type (1 byte), a channel (4 bytes), a length (4 bytes, both big-endian) and as many bytes of payload:
 *
 *   0 open    a JSON value that says what the channel is for
 *   1 data    at most 64 KiB
 *   2 end     the sender will send no more on this channel
 *   3 reset   the channel is over both ways; JSON {"kind","message","hint"?}
 *   4 credit  4 bytes: how many further bytes of data the other side may send
 *
 * Channels that the client opens have odd numbers, the server's are even. Each side begins with WINDOW bytes of credit per channel.
 */
import { Duplex } from "node:stream";
import { EngineError, type ErrorKind, errorKind, errorMessage } from "./errors.ts";

const OPEN = 0;
const DATA = 1;
const END = 2;
const RESET = 3;
const CREDIT = 4;

const HEADER = 9;
const MAX_DATA = 64 << 10;
/** Of what is no data: the value of an open frame. */
const MAX_PAYLOAD = 32 << 20;
const WINDOW = 1 << 20;
/** Channels that one side may have opened at a time. */
const MAX_CHANNELS = 1000;

const NOTHING = Buffer.alloc(0);

export interface MuxOptions {
  readonly side: "client" | "server";
  /** The other side opened a channel. What it throws resets the channel. */
  readonly onOpen: (channel: Duplex, purpose: unknown) => void;
}

/** One end of a connection. When the connection ends all channels end with "cancelled"; `closed` resolves then. */
export class Mux {
  readonly closed: Promise<void>;
  readonly #connection: Duplex;
  readonly #options: MuxOptions;
  readonly #channels = new Map<number, Channel>();
  #next: number;
  /** A frame as far as it is there; of one with data, no more than the header. */
  #held: Buffer[] = [];
  #length = 0;
  /** Bytes until it is whole, as far as is known. */
  #needed = HEADER;
  /** The rest of a frame with data, which is handed on as it comes. */
  #data = { id: 0, left: 0 };
  #drained: (() => void)[] = [];
  #over = false;

  constructor(connection: Duplex, options: MuxOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#next = options.side === "client" ? 1 : 2;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    connection.on("data", (chunk: Buffer) => this.#take(chunk));
    connection.on("drain", () => this.#drain());
    const end = () => {
      this.#end();
      resolve();
    };
    connection.once("end", end).once("close", end).on("error", end);
  }

  /** A new channel; `purpose` is what the other side's `onOpen` gets. */
  open(purpose: unknown): Duplex {
    const id = this.#next;
    this.#next += 2;
    const channel = this.#channel(id);
    this.#send(OPEN, id, Buffer.from(JSON.stringify(purpose)));
    return channel;
  }

  /** Ends the connection when what was written is out. Idempotent. */
  close(): void {
    this.#connection.end();
    this.#end();
  }

  #channel(id: number): Channel {
    const channel = new Channel({
      send: (type, payload) => this.#send(type, id, payload),
      gone: () => this.#channels.delete(id),
    });
    if (this.#over) channel.destroy(goneError());
    else this.#channels.set(id, channel);
    return channel;
  }

  /** Resolves when the connection has room again. */
  #send(type: number, id: number, payload: Uint8Array): Promise<void> | undefined {
    if (this.#over || this.#connection.destroyed || this.#connection.writableEnded) return undefined;
    const header = Buffer.allocUnsafe(HEADER);
    header[0] = type;
    header.writeUInt32BE(id, 1);
    header.writeUInt32BE(payload.length, 5);
    this.#connection.cork();
    this.#connection.write(header);
    const room = payload.length === 0 || this.#connection.write(payload);
    this.#connection.uncork();
    if (room) return undefined;
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  #drain(): void {
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #take(chunk: Buffer): void {
    try {
      for (let rest = chunk; rest.length > 0; ) {
        if (this.#data.left === 0) rest = this.#gather(rest);
        else {
          const piece = rest.subarray(0, this.#data.left);
          this.#data.left -= piece.length;
          rest = rest.subarray(piece.length);
          this.#channels.get(this.#data.id)?.frame(DATA, piece);
        }
      }
    } catch {
      this.#connection.destroy();
      this.#end();
    }
  }

  /** Takes what the frame under way lacks; returns the rest. Put together only when it is whole: a large one comes in many pieces. */
  #gather(chunk: Buffer): Buffer {
    const part = chunk.subarray(0, this.#needed - this.#length);
    this.#held.push(part);
    this.#length += part.length;
    if (this.#length < this.#needed) return NOTHING;
    const frame = this.#held.length === 1 ? part : Buffer.concat(this.#held);
    const [type, id, length] = [frame.readUInt8(0), frame.readUInt32BE(1), frame.readUInt32BE(5)];
    if (length > MAX_PAYLOAD) throw new EngineError("invalid", `a frame of ${length} bytes is too large`);
    const isWhole = type === DATA || frame.length === HEADER + length;
    this.#held = isWhole ? [] : [frame];
    this.#length = isWhole ? 0 : frame.length;
    this.#needed = isWhole ? HEADER : HEADER + length;
    if (type === DATA) this.#data = { id, left: length };
    else if (isWhole) this.#frame(type, id, frame.subarray(HEADER));
    return chunk.subarray(part.length);
  }

  #frame(type: number, id: number, payload: Buffer): void {
    if (type === OPEN) this.#opened(id, payload);
    else this.#channels.get(id)?.frame(type, payload);
  }

  #opened(id: number, payload: Buffer): void {
    const theirs = id % 2 === (this.#options.side === "client" ? 0 : 1);
    if (!theirs || this.#channels.has(id) || this.#channels.size >= MAX_CHANNELS)
      throw new EngineError("invalid", `channel ${id} cannot be opened`);
    const channel = this.#channel(id);
    try {
      this.#options.onOpen(channel, JSON.parse(payload.toString("utf8")));
    } catch (error) {
      channel.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#drain();
    for (const channel of [...this.#channels.values()]) channel.lose();
    this.#channels.clear();
  }
}

/** What the other side sends, to its end; our half stays open, as it would not in a `for await` over the channel itself. */
export function bytesOf(channel: Duplex): AsyncIterable<Buffer> {
  return channel.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

interface Wire {
  send(type: number, payload: Uint8Array): Promise<void> | undefined;
  gone(): void;
}

const goneError = (): EngineError => new EngineError("cancelled", "the other side of the connection is gone");

class Channel extends Duplex {
  readonly #wire: Wire;
  /** Bytes that the other side takes. */
  #credit = WINDOW;
  /** Bytes it sent that nobody was told of as read. */
  #unread = 0;
  #wake: (() => void) | undefined;
  #ended = { theirs: false, ours: false };
  #lost = false;

  constructor(wire: Wire) {
    super({ allowHalfOpen: true, readableHighWaterMark: WINDOW, emitClose: true });
    this.#wire = wire;
    // Whoever reads or writes is told; a channel that nobody uses any more must not end the process.
    this.on("error", () => {});
  }

  frame(type: number, payload: Buffer): void {
    if (type === DATA) {
      this.#unread += payload.length;
      if (this.#unread > WINDOW + MAX_DATA) throw new EngineError("invalid", "more data than was asked for");
      // What is held keeps the whole chunk that it came in.
      const isMost = payload.length > payload.buffer.byteLength / 2;
      if (!this.destroyed) this.push(isMost ? payload : Buffer.from(payload));
    } else if (type === END) {
      this.#ended.theirs = true;
      this.push(null);
      this.#settle();
    } else if (type === CREDIT && payload.length === 4) {
      this.#credit += payload.readUInt32BE(0);
      this.#go();
    } else if (type === RESET) {
      this.#lost = true;
      this.destroy(readError(payload));
    }
  }

  /** The connection is gone. */
  lose(): void {
    this.#lost = true;
    if (this.#ended.theirs && this.#ended.ours) this.destroy();
    else this.destroy(goneError());
  }

  override _read(): void {
    if (this.#unread < WINDOW / 2) return;
    const credit = Buffer.allocUnsafe(4);
    credit.writeUInt32BE(this.#unread);
    this.#unread = 0;
    void this.#wire.send(CREDIT, credit);
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#writeAll(chunk).then(() => done(), done);
  }

  override _final(done: () => void): void {
    void this.#wire.send(END, NOTHING);
    this.#ended.ours = true;
    done();
    this.#settle();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#go();
    const whole = this.#ended.ours && this.#ended.theirs;
    if (!this.#lost && !whole) void this.#wire.send(RESET, writeError(error));
    this.#wire.gone();
    done(error);
  }

  async #writeAll(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      while (this.#credit === 0 && !this.destroyed)
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      if (this.destroyed) throw this.errored ?? goneError();
      const part = chunk.subarray(at, at + Math.min(this.#credit, MAX_DATA));
      this.#credit -= part.length;
      at += part.length;
      await this.#wire.send(DATA, part);
    }
  }

  #go(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Both sides have ended: the number is free. */
  #settle(): void {
    if (this.#ended.ours && this.#ended.theirs) this.#wire.gone();
  }
}

const KINDS = new Set<string>([
  "invalid",
  "unauthorized",
  "forbidden",
  "not-found",
  "conflict",
  "too-large",
  "cancelled",
  "not-implemented",
  "unavailable",
] satisfies ErrorKind[]);

function writeError(error: Error | null): Buffer {
  const hint = error instanceof EngineError ? error.hint : undefined;
  const value =
    error === null
      ? { kind: "cancelled", message: "the other side stopped" }
      : { kind: errorKind(error), message: errorMessage(error), hint };
  return Buffer.from(JSON.stringify(value));
}

function readError(payload: Buffer): EngineError {
  try {
    const { kind, message, hint } = JSON.parse(payload.toString("utf8")) as Record<string, unknown>;
    const known = typeof kind === "string" && KINDS.has(kind) ? (kind as ErrorKind) : "internal";
    return new EngineError(known, String(message), { hint: typeof hint === "string" ? hint : undefined });
  } catch {
    return goneError();
  }
}
