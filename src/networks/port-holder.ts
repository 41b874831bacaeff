/**
 * Holds published host ports with sockets of our own, so that no other process of the host takes them. The packets never reach
 * these sockets (the firewall sends them on); where its rules are gone, a connection is closed at once.
 */
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import type { Protocol } from "./records.ts";

type Release = () => void;

export interface HostPort {
  readonly protocol: Protocol;
  readonly hostIp: string;
  readonly hostPort: number;
}

export class PortHolder {
  readonly #held = new Map<string, Release>();

  /** Rejects with EADDRINUSE, EADDRNOTAVAIL, EACCES. Nothing is held for sctp, which has no sockets in Node. */
  async hold(port: HostPort): Promise<void> {
    const key = keyOf(port);
    if (port.protocol === "sctp" || this.#held.has(key)) return;
    this.#held.set(key, await HOLD[port.protocol](port));
  }

  /** Idempotent. */
  release(port: HostPort): void {
    const key = keyOf(port);
    this.#held.get(key)?.();
    this.#held.delete(key);
  }

  dispose(): void {
    for (const release of this.#held.values()) release();
    this.#held.clear();
  }
}

const HOLD: Readonly<Record<Exclude<Protocol, "sctp">, (port: HostPort) => Promise<Release>>> = {
  tcp: holdTcp,
  udp: holdUdp,
};

function holdTcp({ hostIp, hostPort }: HostPort): Promise<Release> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    const ipv6Only = hostIp.includes(":");
    server.listen({ host: hostIp, port: hostPort, exclusive: true, ipv6Only, backlog: 1 }, () => {
      server.unref();
      resolve(() => server.close());
    });
  });
}

function holdUdp({ hostIp, hostPort }: HostPort): Promise<Release> {
  return new Promise((resolve, reject) => {
    const ipv6 = hostIp.includes(":");
    const socket = createSocket({ type: ipv6 ? "udp6" : "udp4", ipv6Only: ipv6 });
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address: hostIp, port: hostPort, exclusive: true }, () => {
      socket.unref();
      resolve(() => socket.close());
    });
  });
}

function keyOf({ protocol, hostIp, hostPort }: HostPort): string {
  return `${protocol}/${hostIp}/${hostPort}`;
}
