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

  /** Whether the packet was kept. `stuck`: where the parser gave up. */
  keep(socket: Socket, packet: Buffer | undefined, stuck = 0): boolean {
    const request = this.#expected.get(socket);
    if (request === undefined || packet === undefined) return false;
    this.#bytes.set(socket, packet.subarray(startOfRest(request, packet, stuck)));
    return true;
  }

  take(socket: Socket): Uint8Array | undefined {
    const bytes = this.#bytes.get(socket);
    this.#bytes.delete(socket);
    return bytes;
  }
}

/**
 * After the request, when the packet begins with it. Otherwise it begins with the end of a JSON body, and the rest may look like
 * the beginning of a method's name for a while before the parser gives up.
 */
function startOfRest(request: IncomingMessage, packet: Buffer, stuck: number): number {
  const line = `${request.method} ${request.url} `;
  if (packet.toString("latin1", 0, line.length) === line) {
    const end = packet.indexOf("\r\n\r\n");
    return end < 0 ? 0 : end + 4 + Number(request.headers["content-length"] ?? 0);
  }
  let start = stuck;
  while (start > 0 && isCapital(packet[start - 1])) start -= 1;
  return start;
}

const isCapital = (byte = 0): boolean => byte >= 0x41 && byte <= 0x5a;
