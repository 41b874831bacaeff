/** The name server inside one sandbox: a UDP and a TCP socket of its namespace, held by this process. */
import { randomInt } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { closeSync } from "node:fs";
import { createServer, type Server, type Socket as TcpSocket } from "node:net";
import { errnoOf } from "../../base/errors.ts";
import { bindSocket } from "../../kernel/netns.ts";
import { framed, Unframer } from "./stream.ts";

/** Answers a packet; undefined: no answer. Never rejects. */
export type Answerer = (packet: Buffer, how: { readonly udp: boolean }) => Promise<Buffer | undefined>;

export interface DnsServerOptions {
  readonly netns: string;
  /** Where it listens, if possible; elsewhere when that is taken. */
  readonly port: number;
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
  readonly #answer: Answerer;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<TcpSocket>();
  /** "port id" of who waits for an answer already: who asks again before it came gets one, not two. */
  readonly #waiting = new Set<string>();
  /** Of both sockets. */
  readonly port: number;
  #closed = false;

  private constructor({ port, udp, tcp, answer }: { port: number; udp: number; tcp: number; answer: Answerer }) {
    this.#answer = answer;
    this.port = port;
    this.#udp = createSocket("udp4").on("error", () => {});
    this.#udp.on("message", (packet, from) => void this.#onPacket(packet, from));
    this.#udp.bind({ fd: udp });
    this.#udp.unref();
    this.#tcp = createServer((socket) => this.#onConnection(socket)).on("error", () => {});
    this.#tcp.maxConnections = LIMITS.connections;
    this.#tcp.listen({ fd: tcp });
    this.#tcp.unref();
  }

  /** Listens from now on. Throws system errors of sockets. */
  static open({ netns, port, answer }: DnsServerOptions): DnsServer {
    return new DnsServer({ ...bindPair(netns, port), answer });
  }

  async #onPacket(packet: Buffer, { address, port }: { address: string; port: number }): Promise<void> {
    if (this.#waiting.size >= LIMITS.pending || packet.length < 2) return;
    const key = `${address} ${port} ${packet.readUInt16BE(0)}`;
    if (this.#waiting.has(key)) return;
    this.#waiting.add(key);
    const answer = await this.#answer(packet, { udp: true });
    this.#waiting.delete(key);
    if (answer !== undefined && !this.#closed) this.#udp.send(answer, port, address, () => {});
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
        if (++pending > LIMITS.pipelined) return void socket.destroy();
        void this.#answer(message, { udp: false }).then((answer) => {
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

/** Both at one port: the wished one, or one that is free for both. */
function bindPair(netns: string, wished: number): { port: number; udp: number; tcp: number } {
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
