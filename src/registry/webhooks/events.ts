/** What happened, in the words of Docker's registry, so that what listens to that one listens to this one. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { hostname } from "node:os";
import type { Digest } from "../../base/digest.ts";
import { urlOf } from "../auth/auth.ts";

export interface EventTarget {
  readonly repository: string;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
  readonly tag?: string | undefined;
}

export interface RegistryEvent {
  readonly id: string;
  /** RFC 3339. */
  readonly timestamp: string;
  readonly action: "push" | "delete";
  readonly target: EventTarget & { readonly length: number; readonly url: string };
  readonly request: Readonly<Record<string, string>>;
  readonly actor: { readonly name?: string | undefined };
  readonly source: { readonly addr: string; readonly instanceID: string };
}

export interface Happening {
  readonly action: RegistryEvent["action"];
  readonly target: EventTarget;
  readonly request: IncomingMessage;
  readonly user: string | undefined;
}

const INSTANCE = randomUUID();

export function makeEvent({ action, target, request, user }: Happening): RegistryEvent {
  const url = `${urlOf(request)}/v2/${target.repository}/manifests/${target.digest}`;
  return {
    id: randomUUID(),
    timestamp: new Date().toISOString(),
    action,
    target: { ...target, length: target.size, url },
    request: {
      id: randomUUID(),
      addr: `${request.socket.remoteAddress}:${request.socket.remotePort}`,
      host: request.headers.host ?? "",
      method: request.method ?? "",
      useragent: request.headers["user-agent"] ?? "",
    },
    actor: { name: user },
    source: { addr: hostname(), instanceID: INSTANCE },
  };
}
