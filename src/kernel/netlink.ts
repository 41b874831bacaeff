/**
 * Links, addresses and routes (man 7 rtnetlink). A request is a value; `RouteSocket.run` sends any number of them in one message.
 * A link is named by its name or its index.
 */
import {
  type Attribute,
  decodeAttributes,
  decodeString,
  encodeAttributes,
  FLAG,
  type NetlinkRequest,
  NetlinkSocket,
} from "./netlink-wire.ts";

export type LinkRef = string | number;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** "" when it has none; owners write themselves in here. */
  readonly alias: string;
  readonly kind: string;
  /** Whether packets pass: up, and the kernel has seen that its other end is. */
  readonly operational: boolean;
  /** Whether the bridge passes on what comes in here; false for a link that is no bridge's port. */
  readonly forwarding: boolean;
  /** The bridge's index; 0: none. */
  readonly master: number;
  readonly mac: string;
}

export interface HostAddress {
  readonly link: number;
  readonly family: 4 | 6;
  /** Network order, 4 or 16 bytes. */
  readonly bytes: Buffer;
  readonly prefix: number;
  /** 0: everywhere, 253: this link, 254: this host. */
  readonly scope: number;
}

export interface Route {
  readonly family: 4 | 6;
  /** Empty for the default route. */
  readonly bytes: Buffer;
  readonly prefix: number;
  readonly link: number | undefined;
  readonly table: number;
}

const TYPE = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  setLink: 19,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
} as const;
const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  operState: 16,
  linkInfo: 18,
  alias: 20,
  afSpec: 26,
  netnsFd: 28,
  txQueues: 31,
  rxQueues: 32,
} as const;
const INFO = { kind: 1, data: 2, portKind: 4, portData: 5 } as const;
const PORT = { state: 1, hairpin: 4, isolated: 33 } as const;
const PORT_FORWARDING = 3;
/** RFC 2863: unknown, for links that never say; up. */
const OPERATIONAL: readonly (number | undefined)[] = [0, 6];
const IFA = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
const RTA = { destination: 1, link: 4, gateway: 5, table: 15 } as const;
const VETH_PEER = 1;
const MACVLAN_MODE = 1;
const IPVLAN = { mode: 1, flags: 2 } as const;
const VLAN_ID = 1;
const INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN = { eui64: 0, none: 1 } as const;
const IFF_UP = 1;
const AF = { 4: 2, 6: 10 } as const;
const IFA_F_NODAD = 2;
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

export interface AddressChange {
  readonly link: number;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly prefix: number;
  readonly broadcast?: Uint8Array | undefined;
}

/** Usable at once (no duplicate-address detection). An address that is there already is no error. */
export function addAddress({ link, address, prefix, broadcast }: AddressChange): NetlinkRequest {
  const attributes: Attribute[] = [
    [IFA.local, address],
    [IFA.address, address],
  ];
  if (broadcast !== undefined) attributes.push([IFA.broadcast, broadcast]);
  if (address.length === 16) attributes.push([IFA.flags, IFA_F_NODAD]);
  return {
    what: "add address",
    type: TYPE.newAddress,
    flags: FLAG.create | FLAG.exclusive,
    header: addressHeader(link, address, prefix),
    attributes,
    tolerate: ["EEXIST"],
  };
}

/** A missing address is no error. */
export function deleteAddress({ link, address, prefix }: AddressChange): NetlinkRequest {
  return {
    what: "delete address",
    type: TYPE.delAddress,
    header: addressHeader(link, address, prefix),
    attributes: [
      [IFA.local, address],
      [IFA.address, address],
    ],
    tolerate: ["EADDRNOTAVAIL"],
  };
}

/** A default route; replaces the one that is there. */
export function setDefaultRoute(link: number, gateway: Uint8Array): NetlinkRequest {
  const header = Buffer.alloc(12);
  header[0] = AF[gateway.length === 16 ? 6 : 4];
  header[4] = 254; // table main
  header[5] = 3; // protocol boot
  header[6] = 0; // scope universe
  header[7] = 1; // unicast
  return {
    what: "add default route",
    type: TYPE.newRoute,
    flags: FLAG.create | FLAG.replace,
    header,
    attributes: [
      [RTA.gateway, gateway],
      [RTA.link, link],
    ],
  };
}

export interface RouteRequest {
  readonly link: number;
  /** 4 or 16 bytes. */
  readonly destination: Uint8Array;
  readonly prefix: number;
  /** Undefined: neighbours on the link. */
  readonly gateway?: Uint8Array | undefined;
}

/** One that is there already is no error. */
export function addRoute({ link, destination, prefix, gateway }: RouteRequest): NetlinkRequest {
  const header = Buffer.alloc(12);
  header[0] = AF[destination.length === 16 ? 6 : 4];
  header[1] = prefix;
  header[4] = 254; // table main
  header[5] = 3; // protocol boot
  header[6] = gateway === undefined ? 253 : 0; // scope link, universe
  header[7] = 1; // unicast
  const attributes: Attribute[] = [
    [RTA.destination, destination],
    [RTA.link, link],
  ];
  if (gateway !== undefined) attributes.push([RTA.gateway, gateway]);
  return { what: "add route", type: TYPE.newRoute, flags: FLAG.create, header, attributes, tolerate: ["EEXIST"] };
}

/** What has no other way goes out by the link itself; one that is there already is no error. */
export function setDeviceDefault(link: number, family: 4 | 6): NetlinkRequest {
  const header = Buffer.alloc(12);
  header[0] = AF[family];
  header[4] = 254; // table main
  header[5] = 3; // protocol boot
  header[6] = 253; // scope link
  header[7] = 1; // unicast
  const attributes: Attribute[] = [[RTA.link, link]];
  return {
    what: "add default route",
    type: TYPE.newRoute,
    flags: FLAG.create,
    header,
    attributes,
    tolerate: ["EEXIST"],
  };
}

/** Takes the family's default route out of the main table; a missing one is no error. */
export function deleteDefaultRoute(family: 4 | 6): NetlinkRequest {
  const header = Buffer.alloc(12);
  header[0] = AF[family];
  header[4] = 254; // table main
  header[6] = 255; // scope nowhere: any
  return { what: "delete default route", type: TYPE.delRoute, header, tolerate: ["ESRCH"] };
}

function linkHeader(ref: LinkRef, up?: boolean): Buffer {
  const header = Buffer.alloc(16);
  if (typeof ref === "number") header.writeInt32LE(ref, 4);
  if (up !== undefined) {
    header.writeUInt32LE(up ? IFF_UP : 0, 8);
    header.writeUInt32LE(IFF_UP, 12);
  }
  return header;
}

function nameOf(ref: LinkRef): Attribute[] {
  return typeof ref === "string" ? [[IFLA.name, ref]] : [];
}

function addressHeader(link: number, address: Uint8Array, prefix: number): Buffer {
  const header = Buffer.alloc(8);
  header[0] = AF[address.length === 16 ? 6 : 4];
  header[1] = prefix;
  header.writeUInt32LE(link, 4);
  return header;
}

function withHeader(header: Uint8Array, attributes: readonly Attribute[]): Uint8Array {
  return Buffer.concat([header, encodeAttributes(attributes)]);
}

function readLink({ payload }: { payload: Buffer }): Link {
  const found = decodeAttributes(payload, 16);
  const info = decodeAttributes(found.get(IFLA.linkInfo) ?? Buffer.alloc(0));
  const isPort = decodeString(info.get(INFO.portKind)) === "bridge";
  const port = decodeAttributes((isPort && info.get(INFO.portData)) || Buffer.alloc(0));
  return {
    index: payload.readInt32LE(4),
    name: decodeString(found.get(IFLA.name)),
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    mtu: found.get(IFLA.mtu)?.readUInt32LE(0) ?? 0,
    alias: decodeString(found.get(IFLA.alias)),
    kind: decodeString(info.get(INFO.kind)),
    operational: OPERATIONAL.includes(found.get(IFLA.operState)?.[0]),
    forwarding: port.get(PORT.state)?.[0] === PORT_FORWARDING,
    master: found.get(IFLA.master)?.readUInt32LE(0) ?? 0,
    mac: (found.get(IFLA.address) ?? Buffer.alloc(0)).toString("hex").replace(/(..)(?=.)/g, "$1:"),
  };
}

function familyOf(code: number | undefined): 4 | 6 | undefined {
  return code === AF[4] ? 4 : code === AF[6] ? 6 : undefined;
}

function readAddress(payload: Buffer): HostAddress[] {
  const family = familyOf(payload[0]);
  const found = decodeAttributes(payload, 8);
  const bytes = found.get(IFA.local) ?? found.get(IFA.address);
  if (family === undefined || bytes === undefined) return [];
  return [
    {
      link: payload.readUInt32LE(4),
      family,
      bytes: Buffer.from(bytes),
      prefix: payload[1] ?? 0,
      scope: payload[3] ?? 0,
    },
  ];
}

function readRoute(payload: Buffer): Route[] {
  const family = familyOf(payload[0]);
  if (family === undefined) return [];
  const found = decodeAttributes(payload, 12);
  return [
    {
      family,
      bytes: Buffer.from(found.get(RTA.destination) ?? Buffer.alloc(0)),
      prefix: payload[1] ?? 0,
      link: found.get(RTA.link)?.readUInt32LE(0),
      table: found.get(RTA.table)?.readUInt32LE(0) ?? payload[4] ?? 0,
    },
  ];
}
