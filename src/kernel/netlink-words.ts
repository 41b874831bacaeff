/** Numbers and headers of man 7 rtnetlink that requests and answers have in common. */
import type { Attribute } from "./netlink-wire.ts";

export type LinkRef = string | number;

export const TYPE = {
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
export const IFLA = {
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
export const INFO = { kind: 1, data: 2, portKind: 4, portData: 5 } as const;
export const PORT = { state: 1, hairpin: 4, isolated: 33 } as const;
export const IFA = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
export const RTA = { destination: 1, link: 4, gateway: 5, table: 15 } as const;
export const IFF_UP = 1;
export const AF = { 4: 2, 6: 10 } as const;

export function linkHeader(ref: LinkRef, up?: boolean): Buffer {
  const header = Buffer.alloc(16);
  if (typeof ref === "number") header.writeInt32LE(ref, 4);
  if (up !== undefined) {
    header.writeUInt32LE(up ? IFF_UP : 0, 8);
    header.writeUInt32LE(IFF_UP, 12);
  }
  return header;
}

export function nameOf(ref: LinkRef): Attribute[] {
  return typeof ref === "string" ? [[IFLA.name, ref]] : [];
}
