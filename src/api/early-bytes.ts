/**
 * What a client without an Upgrade header sent in one packet with a request that takes the connection over. To Node's parser it is
 * a malformed next request; the packet comes with that error, and its rest is kept here for the one who takes over.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

export class EarlyBytes {
  readonly #expected = new WeakMap<Socket, IncomingMessage>();
  readonly #bytes = new WeakMap<Socket, Uint8Array>();

  /** From now on what the parser refuses on this connection is the client's stream. */
  expect(request: IncomingMessage): void {
    this.#expected.set(request.socket, request);
  }

  /** Whether the packet was kept. */
  keep(socket: Socket, packet: Buffer | undefined): boolean {
    const request = this.#expected.get(socket);
    if (request === undefined || packet === undefined) return false;
    this.#bytes.set(socket, packet.subarray(startOfRest(request, packet)));
    return true;
  }

  take(socket: Socket): Uint8Array | undefined {
    const bytes = this.#bytes.get(socket);
    this.#bytes.delete(socket);
    return bytes;
  }
}

/** After the request, when the packet begins with it; otherwise the whole packet is the rest. */
function startOfRest(request: IncomingMessage, packet: Buffer): number {
  const line = `${request.method} ${request.url} `;
  if (packet.toString("latin1", 0, line.length) !== line) return 0;
  const end = packet.indexOf("\r\n\r\n");
  return end < 0 ? 0 : end + 4 + Number(request.headers["content-length"] ?? 0);
}
