/** UDP servers that answer from one buffer out of another: nothing is left for the garbage collector by a packet. */
import { native, type UdpHandle } from "./native.ts";

/** An IPv4 address as a number, and a port. */
export interface Sender {
  readonly host: number;
  readonly port: number;
}

export interface UdpServerOptions {
  /** A bound IPv4 socket; the server closes it. */
  readonly fd: number;
  /**
   * Called with each packet and the number of its bytes, as many as it may have. What it writes into `answer` and tells the length of is
   * sent back; 0: nothing, or later by `send`. Both buffers are everybody's: what is wanted later is copied. Must not throw.
   */
  readonly onPacket: (packet: Buffer, length: number, from: Sender, answer: Buffer) => number;
}

const INPUT = Buffer.alloc(65_536);
const OUTPUT = Buffer.alloc(65_536);

export class UdpServer {
  readonly #handle: UdpHandle;
  #closed = false;

  /** Serves from now on, and keeps no process alive. Throws system errors; the descriptor is the caller's then. */
  constructor({ fd, onPacket }: UdpServerOptions) {
    const from = { host: 0, port: 0 };
    this.#handle = native.serveUdp(fd, INPUT, OUTPUT, (length, host, port) => {
      from.host = host;
      from.port = port;
      return onPacket(INPUT, length, from, OUTPUT);
    });
  }

  /** Lost without a word when the socket has no room, or is closed. */
  send(bytes: Buffer, { host, port }: Sender): void {
    if (!this.#closed) native.sendUdp(this.#handle, bytes, host, port);
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.closeUdp(this.#handle);
  }
}
