/** Network namespaces kept alive by a bind mount, and sockets inside them. */
import { rmSync } from "node:fs";
import { unmountIfMounted } from "./mounts.ts";
import { native } from "./native.ts";

/** Makes a new namespace at `path`, which must not exist. Its loopback is down. Nothing is left on failure. */
export function createNetns(path: string): Promise<void> {
  return native.createNetns(path);
}

/** Lets go of the namespace; the kernel ends it when no process and no socket is left in it. Idempotent. */
export function removeNetns(path: string): void {
  unmountIfMounted(path, { detach: true });
  rmSync(path, { force: true });
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
