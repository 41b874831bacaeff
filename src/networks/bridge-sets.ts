/**
 * What the firewall's rules ask about bridges, as members of sets and maps: a network more or less changes members and no rule.
 * Bridges are known by their index, which no other link gets as long as the machine runs: rules that an engine left behind match
 * no bridge of another's, whatever its name and its subnets.
 */
import type { Element } from "../kernel/nftables.ts";
import { ipBytes, parseCidr, parseIp } from "./addresses.ts";

export type ByFamily<T> = Readonly<Record<4 | 6, T>>;

export interface BridgeRules {
  /** The link's index. */
  readonly index: number;
  /** "172.17.0.0/16", "fd00::/64". */
  readonly subnets: readonly string[];
  /** Whether what leaves gets the host's address, and which; "": that of the interface by which it leaves. */
  readonly masquerade: ByFamily<string | undefined>;
  readonly internal: boolean;
  /** Whether its containers may talk to each other. */
  readonly icc: boolean;
  /** Whether every port may be reached at the container's own address, from where no bridge of ours is. */
  readonly unprotected: ByFamily<boolean>;
  /** Whether containers answer to pings from everywhere. */
  readonly routed: ByFamily<boolean>;
  /** Links of the host from which every port may be reached. */
  readonly trusted: readonly string[];
}

/** An element, and the same as nft's text. */
export interface Member {
  readonly element: Element;
  readonly text: string;
}

interface Part {
  readonly text: string;
  readonly bytes: Uint8Array;
  /** Of an interval its last. */
  readonly end?: Uint8Array | undefined;
}

const FAMILIES = [4, 6] as const;

/**
 * Sets and their types. `same`: from a bridge to itself, also without having been routed, which the kernel says by no index. `own`:
 * the second part is any protocol, and is there because the kernel changes intervals of concatenations one by one.
 */
export const BRIDGE_SETS: Readonly<Record<string, string>> = {
  bridges: "type iface_index;",
  internal: "type iface_index;",
  same: "type iface_index . iface_index;",
  friends: "type iface_index . iface_index;",
  trusted: "type ifname . iface_index;",
  unprotected4: "type iface_index;",
  unprotected6: "type iface_index;",
  routed4: "type iface_index;",
  routed6: "type iface_index;",
  outwards4: "type iface_index;",
  outwards6: "type iface_index;",
  own4: "type ipv4_addr . inet_proto; flags interval;",
  own6: "type ipv6_addr . inet_proto; flags interval;",
};

/** Maps: whose address gets what leaves. */
export const BRIDGE_MAPS: Readonly<Record<string, string>> = {
  source4: "type iface_index : ipv4_addr;",
  source6: "type iface_index : ipv6_addr;",
};

export function membersOf(bridges: readonly BridgeRules[]): Member[] {
  const members = bridges.flatMap((bridge) => [...ofLink(bridge), ...FAMILIES.flatMap((f) => ofFamily(bridge, f))]);
  return [...new Map(members.map((one) => [keyOf(one), one])).values()];
}

/** What tells members apart, values included. */
export function keyOf({ element, text }: Member): string {
  return `${element.set} ${text}`;
}

function ofLink({ index, internal, icc, trusted }: BridgeRules): Member[] {
  const link = indexPart(index);
  return [
    member("bridges", [link]),
    member("same", [link, link]),
    member("same", [indexPart(0), link]),
    ...(internal ? [member("internal", [link])] : []),
    ...(icc ? [member("friends", [link, link])] : []),
    ...trusted.map((name) => member("trusted", [namePart(name), link])),
  ];
}

function ofFamily(bridge: BridgeRules, family: 4 | 6): Member[] {
  const { index, subnets, masquerade, internal, unprotected, routed } = bridge;
  const link = indexPart(index);
  const source = internal ? undefined : masquerade[family];
  const leaving = () =>
    source === "" ? member(`outwards${family}`, [link]) : member(`source${family}`, [link], addressPart(source ?? ""));
  return [
    ...(unprotected[family] ? [member(`unprotected${family}`, [link])] : []),
    ...(routed[family] ? [member(`routed${family}`, [link])] : []),
    ...(source === undefined ? [] : [leaving()]),
    ...subnets.flatMap((text) => {
      const subnet = subnetPart(text, family);
      return subnet === undefined ? [] : [member(`own${family}`, [subnet, ANY_PROTOCOL])];
    }),
  ];
}

const ANY_PROTOCOL: Part = { text: "0-255", bytes: Uint8Array.of(0), end: Uint8Array.of(255) };

function member(set: string, parts: readonly Part[], value?: Part): Member {
  const interval = parts.some(({ end }) => end !== undefined);
  const text = parts.map((part) => part.text).join(" . ");
  return {
    element: {
      set,
      key: parts.map(({ bytes }) => bytes),
      keyEnd: interval ? parts.map(({ bytes, end }) => end ?? bytes) : undefined,
      value: value && [value.bytes],
    },
    text: value === undefined ? text : `${text} : ${value.text}`,
  };
}

function indexPart(index: number): Part {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(index);
  return { text: String(index), bytes };
}

/** IFNAMSIZ. */
const NAME_BYTES = 16;

function namePart(name: string): Part {
  const bytes = Buffer.alloc(NAME_BYTES);
  bytes.write(name);
  return { text: `"${name}"`, bytes };
}

function subnetPart(text: string, family: 4 | 6): Part | undefined {
  const cidr = parseCidr(text);
  if (cidr?.family !== family) return undefined;
  const [bytes, end] = [cidr.first, cidr.last].map((value) => ipBytes({ family, value }));
  return bytes && { text, bytes, end };
}

function addressPart(text: string): Part {
  const ip = parseIp(text);
  return { text, bytes: ip === undefined ? new Uint8Array() : ipBytes(ip) };
}
