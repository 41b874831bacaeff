/**
 * Links, addresses and routes (man 7 rtnetlink). A request is a value; `RouteSocket.run` sends any number of them in one message.
 * A link is named by its name or its index.
 */
import { type HostAddress, type Link, type Route, readAddress, readLink, readRoute } from "./netlink-answers.ts";
import { type Attribute, encodeAttributes, FLAG, type NetlinkRequest, NetlinkSocket } from "./netlink-wire.ts";
import { AF, IFLA, INFO, type LinkRef, linkHeader, nameOf, PORT, TYPE } from "./netlink-words.ts";

const VETH_PEER = 1;
const MACVLAN_MODE = 1;
const IPVLAN = { mode: 1, flags: 2 } as const;
const VLAN_ID = 1;
const INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN = { eui64: 0, none: 1 } as const;
const NETLINK_ROUTE = 0;
/** IFLA_EXT_MASK: without statistics, which are most of an answer. */
const BRIEF: readonly Attribute[] = [[29, 8]];

/** A socket for links, addresses and routes of one namespace. */
export class RouteSocket {
  readonly #socket: NetlinkSocket;

  constructor(netns?: string) {
    this.#socket = new NetlinkSocket(NETLINK_ROUTE, netns);
  }

  /** All requests in one message; see NetlinkSocket.exchange for errors. */
  run(...requests: readonly NetlinkRequest[]): void {
    this.#socket.exchange(requests);
  }

  /** The same on a thread: for removals, which the kernel takes milliseconds for, and for what need not come before anything else. */
  async runAside(...requests: readonly NetlinkRequest[]): Promise<void> {
    await this.#socket.exchangeAside(requests);
  }

  links(): Link[] {
    return this.#socket
      .exchange([
        { what: "list links", type: TYPE.getLink, flags: FLAG.dump, header: linkHeader(0), attributes: BRIEF },
      ])
      .map(readLink);
  }

  link(ref: LinkRef): Link | undefined {
    try {
      const request = { what: `get link ${ref}`, type: TYPE.getLink, header: linkHeader(ref), attributes: nameOf(ref) };
      return this.#socket.exchange([request]).map(readLink)[0];
    } catch (error) {
      if ((error as { code?: string }).code === "ENODEV") return undefined;
      throw error;
    }
  }

  addresses(): HostAddress[] {
    return this.#socket
      .exchange([{ what: "list addresses", type: TYPE.getAddress, flags: FLAG.dump, header: Buffer.alloc(8) }])
      .flatMap(({ payload }) => readAddress(payload));
  }

  routes(): Route[] {
    return this.#socket
      .exchange([{ what: "list routes", type: TYPE.getRoute, flags: FLAG.dump, header: Buffer.alloc(12) }])
      .flatMap(({ payload }) => readRoute(payload));
  }

  close(): void {
    this.#socket.close();
  }
}

export interface VethRequest {
  readonly name: string;
  readonly mtu: number;
  readonly peer: { readonly name: string; readonly mac: Uint8Array; readonly netnsFd: number };
}

/** A pair of links, both down; the peer is made in the other namespace, so its name is never seen in this one. One queue each: a quarter of the cost. */
export function addVeth({ name, mtu, peer }: VethRequest): NetlinkRequest {
  const queues: Attribute[] = [
    [IFLA.txQueues, 1],
    [IFLA.rxQueues, 1],
  ];
  const peerAttributes: Attribute[] = [
    [IFLA.name, peer.name],
    [IFLA.mtu, mtu],
    [IFLA.address, peer.mac],
    [IFLA.netnsFd, peer.netnsFd],
    ...queues,
  ];
  return newLink(name, "veth", [[IFLA.mtu, mtu], ...queues], [[VETH_PEER, withHeader(linkHeader(0), peerAttributes)]]);
}

/** A link on top of another one that takes part in what that is connected to. */
export type ChildKind =
  | { readonly kind: "macvlan"; readonly mode: number }
  | { readonly kind: "ipvlan"; readonly mode: number; readonly flags: number };

export type ChildRequest = ChildKind & {
  readonly name: string;
  /** Its index. */
  readonly parent: number;
  /** Made there at once, so its name is never seen here. */
  readonly netnsFd?: number | undefined;
};

/** "ENOTSUP" when the kernel has no such links, "EBUSY" when the parent takes no more of them, "EEXIST". */
export function addChild(request: ChildRequest): NetlinkRequest {
  const { name, kind, parent, netnsFd, mode } = request;
  const data: Attribute[] =
    request.kind === "macvlan"
      ? [[MACVLAN_MODE, mode]]
      : [
          [IPVLAN.mode, u16(mode)],
          [IPVLAN.flags, u16(request.flags)],
        ];
  const place: Attribute[] = netnsFd === undefined ? [] : [[IFLA.netnsFd, netnsFd]];
  return newLink(name, kind, [[IFLA.link, parent], ...place], data);
}

/** A tagged VLAN (802.1Q) of the parent. */
export function addVlan({ name, parent, id }: { name: string; parent: number; id: number }): NetlinkRequest {
  return newLink(name, "vlan", [[IFLA.link, parent]], [[VLAN_ID, u16(id)]]);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8);
}

/** "EEXIST" when the name is taken. `mac` fixed: otherwise a bridge takes its lowest port's. */
export function addBridge({ name, mtu, mac }: { name: string; mtu: number; mac: Uint8Array }): NetlinkRequest {
  return newLink(name, "bridge", [
    [IFLA.mtu, mtu],
    [IFLA.address, mac],
  ]);
}

function newLink(
  name: string,
  kind: string,
  attributes: readonly Attribute[],
  data?: readonly Attribute[],
): NetlinkRequest {
  const info: Attribute[] = [[INFO.kind, Buffer.from(kind)]];
  if (data !== undefined) info.push([INFO.data, data]);
  return {
    what: `add ${kind} ${name}`,
    type: TYPE.newLink,
    flags: FLAG.create | FLAG.exclusive,
    header: linkHeader(0),
    attributes: [[IFLA.name, name], ...attributes, [IFLA.linkInfo, info]],
  };
}

export interface LinkChange {
  /** For a link given by its index; it must be down. "EEXIST" when the name is taken. */
  readonly name?: string | undefined;
  readonly up?: boolean | undefined;
  readonly mtu?: number | undefined;
  readonly alias?: string | undefined;
  readonly mac?: Uint8Array | undefined;
  /** A bridge's index; 0 takes the link out of its bridge. */
  readonly master?: number | undefined;
  /** Whether it goes without a link-local IPv6 address of its own making; must come before it is up. */
  readonly noAutoIpv6?: boolean | undefined;
}

/** "ENODEV" when there is no such link. */
export function setLink(ref: LinkRef, change: LinkChange): NetlinkRequest {
  const attributes: Attribute[] = [...nameOf(ref)];
  if (change.name !== undefined) attributes.push([IFLA.name, change.name]);
  if (change.mtu !== undefined) attributes.push([IFLA.mtu, change.mtu]);
  if (change.alias !== undefined) attributes.push([IFLA.alias, Buffer.from(change.alias)]);
  if (change.master !== undefined) attributes.push([IFLA.master, change.master]);
  if (change.mac !== undefined) attributes.push([IFLA.address, change.mac]);
  if (change.noAutoIpv6 !== undefined) {
    const mode = Uint8Array.of(change.noAutoIpv6 ? ADDR_GEN.none : ADDR_GEN.eui64);
    attributes.push([IFLA.afSpec, [[AF[6], [[INET6_ADDR_GEN_MODE, mode]]]]]);
  }
  return { what: `set link ${ref}`, type: TYPE.setLink, header: linkHeader(ref, change.up), attributes };
}

/** The link goes to the namespace whose file is open; it is down there. */
export function moveLink(ref: LinkRef, netnsFd: number): NetlinkRequest {
  const attributes: Attribute[] = [...nameOf(ref), [IFLA.netnsFd, netnsFd]];
  return { what: `move link ${ref}`, type: TYPE.setLink, header: linkHeader(ref), attributes };
}

/** What a bridge does with one of its ports: `isolated` ports do not reach each other; with `hairpin` a frame may leave where it came in. */
export function setBridgePort(
  ref: LinkRef,
  { isolated, hairpin }: { isolated: boolean; hairpin: boolean },
): NetlinkRequest {
  const data: Attribute[] = [
    [PORT.hairpin, Uint8Array.of(hairpin ? 1 : 0)],
    [PORT.isolated, Uint8Array.of(isolated ? 1 : 0)],
  ];
  const info: Attribute[] = [
    [INFO.portKind, Buffer.from("bridge")],
    [INFO.portData, data],
  ];
  return {
    what: `set bridge port ${ref}`,
    type: TYPE.newLink,
    header: linkHeader(ref),
    attributes: [...nameOf(ref), [IFLA.linkInfo, info]],
  };
}

/** Of a pair both ends go. A missing link is no error. The kernel takes milliseconds for it. */
export function deleteLink(ref: LinkRef): NetlinkRequest {
  return {
    what: `delete link ${ref}`,
    type: TYPE.delLink,
    header: linkHeader(ref),
    attributes: nameOf(ref),
    tolerate: ["ENODEV"],
  };
}

function withHeader(header: Uint8Array, attributes: readonly Attribute[]): Uint8Array {
  return Buffer.concat([header, encodeAttributes(attributes)]);
}
