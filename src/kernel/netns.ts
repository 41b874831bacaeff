/** Network namespaces kept alive by a bind mount, and sockets inside them. */
import { unlinkSync } from "node:fs";
import { errnoOf } from "../base/errors.ts";
import { unmountIfMounted } from "./mounts.ts";
import { native } from "./native.ts";

/** Makes a new namespace at `path`, which must not exist. Its loopback is down. Nothing is left on failure. */
export function createNetns(path: string): Promise<void> {
  return native.createNetns(path);
}

/** Lets go of the namespace; the kernel ends it when no process and no socket is left in it. Idempotent. */
export function removeNetns(path: string): void {
  unmountIfMounted(path, { detach: true });
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

export interface SocketRequest {
  /** The namespace's file; our own when undefined. */
  readonly netns?: string | undefined;
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
}

/** A socket made inside the namespace; it stays there. The caller closes the descriptor. */
export function openSocket({ netns, family, type, protocol }: SocketRequest): number {
  return native.openSocket(netns ?? null, family, type, protocol);
}

export const SOCKET = { stream: 1, datagram: 2 } as const;

export interface BoundSocketRequest {
  /** The namespace's file; our own when undefined. */
  readonly netns?: string | undefined;
  readonly type: keyof typeof SOCKET;
  /** The kind's usual one when undefined: tcp, udp. */
  readonly protocol?: number | undefined;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** 0: one that is free. */
  readonly port: number;
}

/** A socket inside the namespace that has this address; it does not listen yet. Throws EADDRINUSE, EADDRNOTAVAIL. The caller closes the descriptor. */
export function bindSocket({ netns, type, protocol = 0, address, port }: BoundSocketRequest): number {
  return native.bindSocket(netns ?? null, SOCKET[type], protocol, address, port);
}
