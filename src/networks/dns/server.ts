/** The name server inside one sandbox: a UDP and a TCP socket of its namespace, held by this process. */
import { randomInt } from "node:crypto";
import { closeSync } from "node:fs";
import { createServer, type Server, type Socket as TcpSocket } from "node:net";
import { errnoOf } from "../../base/errors.ts";
import { bindSocket } from "../../kernel/netns.ts";
import { type Sender, UdpServer } from "../../kernel/udp.ts";
import { framed, Unframer } from "./stream.ts";

/** Answers a packet, at once where it can; undefined: no answer. Never throws or rejects. */
export type Answerer = (packet: Buffer, how: { readonly udp: boolean }) => Answering;
export type Answering = Buffer | undefined | Promise<Buffer | undefined>;

/** Writes an answer that is ready, and tells how long it is; 0: none is. */
export type QuickAnswerer = (packet: Buffer, length: number, into: Buffer) => number;

export interface DnsServerOptions {
  readonly netns: string;
  /** Where it listens, if possible; elsewhere when that is taken. */
  readonly port: number;
  /** Whether one more packet is looked at. */
  readonly admit: () => boolean;
  /** Tried before `answer`, by UDP. */
  readonly quick: QuickAnswerer;
  readonly answer: Answerer;
}

/** Where containers find it, at port 53; Docker's. */
export const DNS_ADDRESS = Uint8Array.of(127, 0, 0, 11);

const LIMITS = {
  /** Questions under way at a time. */
  pending: 512,
  connections: 64,
  /** Of one connection. */
  pipelined: 32,
  /** Bytes of answers that a connection leaves lying. */
  unread: 1 << 18,
  idleMs: 10_000,
} as const;

export class DnsServer {
  readonly #admit: () => boolean;
  readonly #quick: QuickAnswerer;
  readonly #answer: Answerer;
  readonly #udp: UdpServer;
  readonly #tcp: Server;
  readonly #connections = new Set<TcpSocket>();
  /** "host port id" of who waits for an answer already: who asks again before it came gets one, not two. */
  readonly #waiting = new Set<string>();
  /** Of both sockets. */
  readonly port: number;
  #closed = false;

  private constructor({ admit, quick, answer }: DnsServerOptions, { port, udp, tcp }: Pair) {
    this.#admit = admit;
    this.#quick = quick;
    this.#answer = answer;
    this.port = port;
    this.#udp = new UdpServer({ fd: udp, onPacket: (...packet) => this.#onPacket(...packet) });
    this.#tcp = createServer((socket) => this.#onConnection(socket)).on("error", () => {});
    this.#tcp.maxConnections = LIMITS.connections;
    this.#tcp.listen({ fd: tcp });
    this.#tcp.unref();
  }

  /** Listens from now on. Throws system errors of sockets. */
  static open(options: DnsServerOptions): DnsServer {
    return new DnsServer(options, bindPair(options.netns, options.port));
  }

  #onPacket(buffer: Buffer, length: number, from: Sender, into: Buffer): number {
    if (length < 2 || !this.#admit()) return 0;
    const ready = this.#quick(buffer, length, into);
    if (ready > 0) return ready;
    const key = `${from.host} ${from.port} ${buffer.readUInt16BE(0)}`;
    if (this.#waiting.size >= LIMITS.pending || this.#waiting.has(key)) return 0;
    const answer = this.#answer(Buffer.from(buffer.subarray(0, length)), { udp: true });
    if (answer instanceof Promise) void this.#sendLater(answer, key, { ...from });
    return answer instanceof Buffer ? answer.copy(into) : 0;
  }

  async #sendLater(answering: Promise<Buffer | undefined>, key: string, to: Sender): Promise<void> {
    this.#waiting.add(key);
    const answer = await answering;
    this.#waiting.delete(key);
    if (answer !== undefined) this.#udp.send(answer, to);
  }

  #onConnection(socket: TcpSocket): void {
    const messages = new Unframer();
    let pending = 0;
    this.#connections.add(socket);
    socket.unref();
    socket.setTimeout(LIMITS.idleMs, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      for (const message of messages.push(chunk)) {
        if (!this.#admit()) continue;
        if (++pending > LIMITS.pipelined) return void socket.destroy();
        void Promise.resolve(this.#answer(message, { udp: false })).then((answer) => {
          pending--;
          if (answer !== undefined && socket.writable) socket.write(framed(answer));
          if (socket.writableLength > LIMITS.unread) socket.destroy();
        });
      }
    });
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#udp.close();
    this.#tcp.close();
    for (const socket of this.#connections) socket.destroy();
  }
}

const TRIES = 20;

interface Pair {
  readonly port: number;
  /** Descriptors. */
  readonly udp: number;
  readonly tcp: number;
}

/** Both at one port: the wished one, or one that is free for both. */
function bindPair(netns: string, wished: number): Pair {
  let refusal: unknown;
  for (let tries = 0; tries < TRIES; tries++) {
    const port = tries === 0 && wished !== 0 ? wished : randomPort();
    const udp = tryBind(netns, "datagram", port);
    if (typeof udp !== "number") {
      refusal = udp.error;
      continue;
    }
    const tcp = tryBind(netns, "stream", port);
    if (typeof tcp === "number") return { port, udp, tcp };
    closeSync(udp);
    refusal = tcp.error;
  }
  throw refusal;
}

function tryBind(netns: string, type: "datagram" | "stream", port: number): number | { readonly error: unknown } {
  try {
    return bindSocket({ netns, type, address: DNS_ADDRESS, port });
  } catch (error) {
    if (errnoOf(error) !== "EADDRINUSE") throw error;
    return { error };
  }
}

/** Above the usual range of random ports, so that no connection of the container's has it by chance. */
function randomPort(): number {
  return randomInt(61_000, 65_536);
}
