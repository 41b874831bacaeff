/**
 * What a network of a kind is, and how a sandbox gets its end of it: all that the rest knows of a kind. drivers.ts holds the table.
 *
 * The life of a network: check → (rows) → create … remove → (rows gone).
 * The life of an endpoint: (row, with addresses) → prepare → join … leave → discard, if the sandbox goes on → (row gone).
 */
import type { EndpointSettings, NetworkCreateRequest } from "../api/types/network.ts";
import type { RouteSocket } from "../kernel/netlink.ts";
import type { Pair } from "./namespaces.ts";
import type { EndpointRecord, NetworkRecord, SandboxRecord } from "./records.ts";

export interface EndpointPlace {
  readonly network: NetworkRecord;
  readonly endpoint: EndpointRecord;
  readonly sandbox: SandboxRecord;
  /** The sandbox's namespace. */
  readonly netns: string;
}

export interface JoinRequest extends EndpointPlace {
  /** Inside the sandbox. */
  readonly inside: RouteSocket;
  /** A pair made ahead whose inner end is eth0; for drivers with `paired`. */
  readonly pair?: Pair | undefined;
  /** The default gateways that are reached through this endpoint; "" for one that is the link itself. */
  readonly gateways: readonly string[];
  /** Whether the sandbox has published ports, by which it may call itself. */
  readonly published: boolean;
}

export interface Prepared {
  /** Over those that IPAM gave. */
  readonly settings: EndpointSettings;
  /** A link in the host's namespace that is to be moved. */
  readonly hostLink: string;
  /** What the interface's name begins with; undefined: as the network says. */
  readonly interfacePrefix: string | undefined;
}

export interface Driver {
  /** Whether its containers have a network namespace of their own. */
  readonly ownNetns: boolean;
  /** Whether its endpoints are links, with addresses. */
  readonly wired: boolean;
  /** Whether a pair of links made ahead may become its endpoint. */
  readonly paired: boolean;
  /** Whether users may create networks of it. */
  readonly many: boolean;
  /** Refuses a request before anything is changed; "invalid", "forbidden". */
  check(request: NetworkCreateRequest, others: readonly NetworkRecord[]): void;
  /** The host's link on which the network is; "" for none. */
  linkOf(id: string, options: Readonly<Record<string, string>>): string;
  /** The network is there afterwards. On failure the caller calls `remove`. */
  create(network: NetworkRecord): Promise<void>;
  /** After a start of the engine: what is in the kernel is there again. Idempotent. */
  ensure(network: NetworkRecord): void;
  /** Idempotent. */
  remove(network: NetworkRecord): Promise<void>;
  /** What the endpoint is beyond what IPAM gave it. On failure the caller calls `leave`. */
  prepare?(place: EndpointPlace): Promise<Prepared>;
  join(request: JoinRequest): Promise<void> | void;
  /** Cuts the endpoint off; what remains of the link goes with the sandbox. Idempotent. */
  leave(place: EndpointPlace): Promise<void> | void;
  /** The link is gone, while the sandbox lives on. Idempotent. */
  discard(place: EndpointPlace): Promise<void>;
}
