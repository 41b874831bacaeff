/**
 * Passes connections and datagrams on to a container where the kernel cannot: from IPv6 to a container that has IPv4 alone, from ::1, and where
 * the firewall's rules are not to be, or not there. The container sees the gateway as its caller.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createConnection, type Socket as TcpSocket } from "node:net";

export interface RelayTarget {
  readonly address: string;
  readonly port: number;
}

/** Callers of one UDP port at a time, and how long one of them may be silent. */
const UDP = { callers: 1024, idleMs: 90_000 } as const;

/** Joins the paused connection with one to the target; each end is passed on by itself. */
export function relayTcp(client: TcpSocket, { address, port }: RelayTarget): void {
  const server = createConnection({ host: address, port, allowHalfOpen: true });
  const end = () => {
    client.destroy();
    server.destroy();
  };
  client.on("error", end).on("close", end);
  server.on("error", () => {
    // The container's refusal is the caller's.
    client.resetAndDestroy();
    server.destroy();
  });
  server.on("close", () => client.destroySoon());
  server.once("connect", () => {
    client.pipe(server);
    server.pipe(client);
  });
  client.unref();
  server.unref();
}

/** One port's callers, each with a socket of its own towards the container, so that answers find back. */
export class UdpRelay {
  readonly #front: UdpSocket;
  readonly #target: () => RelayTarget;
  readonly #callers = new Map<string, Caller>();

  /** `target` is asked for each new caller. */
  constructor(front: UdpSocket, target: () => RelayTarget) {
    this.#front = front;
    this.#target = target;
    front.on("message", (message, from) => this.#onMessage(message, from));
  }

  #onMessage(message: Buffer, from: { readonly address: string; readonly port: number }): void {
    const key = `${from.address} ${from.port}`;
    const known = this.#callers.get(key);
    if (known === undefined && this.#callers.size >= UDP.callers) return;
    const caller = known ?? this.#newCaller(key, from);
    caller.send(message);
  }

  #newCaller(key: string, from: { readonly address: string; readonly port: number }): Caller {
    const caller = new Caller(this.#target(), {
      answer: (data) => this.#front.send(data, from.port, from.address, () => {}),
      ended: () => this.#callers.delete(key),
    });
    this.#callers.set(key, caller);
    return caller;
  }

  close(): void {
    for (const caller of [...this.#callers.values()]) caller.close();
  }
}

interface CallerEvents {
  answer(data: Buffer): void;
  ended(): void;
}

class Caller {
  readonly #socket: UdpSocket;
  readonly #events: CallerEvents;
  readonly #timer: NodeJS.Timeout;
  #waiting: Buffer[] | undefined = [];
  #closed = false;

  constructor({ address, port }: RelayTarget, events: CallerEvents) {
    this.#events = events;
    this.#socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    this.#timer = setTimeout(() => this.close(), UDP.idleMs).unref();
    this.#socket.on("message", (data) => {
      this.#timer.refresh();
      events.answer(data);
    });
    this.#socket.on("error", () => this.close());
    this.#socket.connect(port, address, () => {
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      for (const message of waiting) this.send(message);
    });
    this.#socket.unref();
  }

  send(message: Buffer): void {
    if (this.#closed) return;
    this.#timer.refresh();
    if (this.#waiting !== undefined) {
      if (this.#waiting.length < 16) this.#waiting.push(message);
    } else this.#socket.send(message, () => {});
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket.close();
    this.#events.ended();
  }
}
