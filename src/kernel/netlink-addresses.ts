/** Requests that change addresses and routes (man 7 rtnetlink), for `RouteSocket.run`. */
import { type Attribute, FLAG, type NetlinkRequest } from "./netlink-wire.ts";
import { AF, IFA, RTA, TYPE } from "./netlink-words.ts";

const IFA_F_NODAD = 2;

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

function addressHeader(link: number, address: Uint8Array, prefix: number): Buffer {
  const header = Buffer.alloc(8);
  header[0] = AF[address.length === 16 ? 6 : 4];
  header[1] = prefix;
  header.writeUInt32LE(link, 4);
  return header;
}
