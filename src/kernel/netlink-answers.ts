/** Links, addresses and routes as the kernel tells of them (man 7 rtnetlink). */
import { decodeAttributes, decodeString } from "./netlink-wire.ts";
import { AF, IFA, IFF_UP, IFLA, INFO, PORT, RTA } from "./netlink-words.ts";

const PORT_FORWARDING = 3;
/** RFC 2863: unknown, for links that never say; up. */
const OPERATIONAL: readonly (number | undefined)[] = [0, 6];

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

export function readLink({ payload }: { payload: Buffer }): Link {
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

export function readAddress(payload: Buffer): HostAddress[] {
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

export function readRoute(payload: Buffer): Route[] {
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
function familyOf(code: number | undefined): 4 | 6 | undefined {
  return code === AF[4] ? 4 : code === AF[6] ? 6 : undefined;
}
