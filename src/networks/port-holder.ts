/**
 * Holds published host ports with sockets of our own, so that no other process of the host takes them. What the firewall's rules
 * translate never gets to these sockets; what does get here is passed on to the container, or refused where that is not wanted.
 */
import { createSocket } from "node:dgram";
import { closeSync } from "node:fs";
import { createServer } from "node:net";
import { errnoOf } from "../base/errors.ts";
import { bindSocket } from "../kernel/netns.ts";
import { ipBytes, parseIp } from "./addresses.ts";
import type { PortRecord, Protocol } from "./records.ts";
import { type RelayTarget, relayTcp, UdpRelay } from "./relay.ts";

/** Where it leads now; a host port keeps its socket when its container's networks change. */
interface Held {
  target: RelayTarget;
  readonly release: () => void;
}

interface Hold {
  readonly port: PortRecord;
  readonly target: () => RelayTarget;
  readonly relays: boolean;
}

export class PortHolder {
  readonly #held = new Map<string, Held>();
  readonly #relays: boolean;

  /** Without `relays` who gets here is refused. */
  constructor({ relays }: { readonly relays: boolean }) {
    this.#relays = relays;
  }

  /** Rejects with EADDRINUSE, EADDRNOTAVAIL, EACCES. A port that is held already leads to where this one does. */
  async hold(port: PortRecord): Promise<void> {
    const key = keyOf(port);
    const target = targetOf(port);
    const known = this.#held.get(key);
    if (known !== undefined) {
      known.target = target;
      return;
    }
    const held: Held = { target, release: () => {} };
    const release = await HOLD[port.protocol]({ port, target: () => held.target, relays: this.#relays });
    this.#held.set(key, Object.assign(held, { release }));
  }

  /** Idempotent. */
  release(port: Pick<PortRecord, "protocol" | "hostIp" | "hostPort">): void {
    const key = keyOf(port);
    this.#held.get(key)?.release();
    this.#held.delete(key);
  }

  dispose(): void {
    for (const { release } of this.#held.values()) release();
    this.#held.clear();
  }
}

const HOLD: Readonly<Record<Protocol, (hold: Hold) => Promise<() => void>>> = {
  tcp: holdTcp,
  udp: holdUdp,
  sctp: holdSctp,
};

function holdTcp({ port: { hostIp, hostPort }, target, relays }: Hold): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const clients = new Set<{ destroy(): void }>();
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      if (!relays) return void client.destroy();
      clients.add(client);
      client.once("close", () => clients.delete(client));
      relayTcp(client, target());
    });
    server.once("error", reject);
    const ipv6Only = hostIp.includes(":");
    server.listen({ host: hostIp, port: hostPort, exclusive: true, ipv6Only }, () => {
      server.unref();
      server.on("error", () => {});
      resolve(() => {
        server.close();
        for (const client of clients) client.destroy();
      });
    });
  });
}

function holdUdp({ port: { hostIp, hostPort }, target, relays }: Hold): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const ipv6 = hostIp.includes(":");
    const socket = createSocket({ type: ipv6 ? "udp6" : "udp4", ipv6Only: ipv6 });
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address: hostIp, port: hostPort, exclusive: true }, () => {
      socket.unref();
      socket.removeAllListeners("error").on("error", () => {});
      const relay = relays ? new UdpRelay(socket, target) : undefined;
      resolve(() => {
        relay?.close();
        socket.close();
      });
    });
  });
}

const PROTOCOL_SCTP = 132;

/** Held and never listened at. A kernel without SCTP has nobody who could take it either. */
async function holdSctp({ port: { hostIp, hostPort } }: Hold): Promise<() => void> {
  try {
    const address = ipBytes(parseIp(hostIp) ?? { family: 4, value: 0n });
    const fd = bindSocket({ type: "stream", protocol: PROTOCOL_SCTP, address, port: hostPort });
    return () => closeSync(fd);
  } catch (error) {
    if (["EPROTONOSUPPORT", "ESOCKTNOSUPPORT"].includes(errnoOf(error) ?? "")) return () => {};
    throw error;
  }
}

function targetOf({ containerIp, containerPort }: PortRecord): RelayTarget {
  return { address: containerIp, port: containerPort };
}

function keyOf({ protocol, hostIp, hostPort }: Pick<PortRecord, "protocol" | "hostIp" | "hostPort">): string {
  return `${protocol}/${hostIp}/${hostPort}`;
}
