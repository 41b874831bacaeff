/** Which connections to this process come from this process: what the daemon sends to its own registry is known by that. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

/** Node publishes every socket that connects somewhere. */
const CHANNEL = "net.client.socket";

export class OwnConnections implements Disposable {
  /** Both ends, as the one who connected sees them: alone the near end is not unique. */
  readonly #open = new Set<string>();
  readonly #onSocket = (message: unknown) => this.#watch((message as { readonly socket: Socket }).socket);

  constructor() {
    subscribe(CHANNEL, this.#onSocket);
  }

  /** `accepted`: this process's end of a connection that somebody made to it. */
  has(accepted: Socket): boolean {
    const { remoteAddress, remotePort, localAddress, localPort } = accepted;
    return this.#open.has(ends([remoteAddress, remotePort], [localAddress, localPort]));
  }

  #watch(socket: Socket): void {
    // Before whoever made it can send anything.
    socket.once("connect", () => {
      const key = ends([socket.localAddress, socket.localPort], [socket.remoteAddress, socket.remotePort]);
      this.#open.add(key);
      socket.once("close", () => this.#open.delete(key));
    });
  }

  [Symbol.dispose](): void {
    unsubscribe(CHANNEL, this.#onSocket);
  }
}

type End = readonly [address: string | undefined, port: number | undefined];

function ends(from: End, to: End): string {
  return [from, to].map(([address = "", port]) => `${address.replace(/^::ffff:/, "")} ${port}`).join(" > ");
}
