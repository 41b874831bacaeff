/**
 * Inside another network namespace: what its processes send to one port of a loopback address comes to another port there, and the
 * answers come from the first. Ports are rewritten packet by packet, without connection tracking: that would cost every packet of
 * the container, and a millisecond or ten to set up. By netlink, because starting nft(8) takes longer than all else of a network.
 */
import { type Attribute, FLAG, type NetlinkRequest, NetlinkSocket } from "./netlink-wire.ts";

export interface LocalRedirect {
  readonly table: string;
  /** Whether the table may be there already; it costs the kernel some milliseconds to look. */
  readonly replace: boolean;
  /** IPv4, four bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** Where it comes to at the same address. */
  readonly to: Readonly<Record<"udp" | "tcp", number>>;
}

const NETLINK_NETFILTER = 12;
const SUBSYSTEM = 10;
const BATCH = { begin: 0x10, end: 0x11 } as const;
const MESSAGE = { newTable: 0, delTable: 2, newChain: 3, newRule: 6 } as const;
const NFPROTO_IPV4 = 2;
const CREATE = FLAG.create;
const APPEND = 0x800;

/** In one transaction. Throws what the kernel says: ENOTSUP without nftables, EPERM without CAP_NET_ADMIN. */
export async function redirectLocal(
  netns: string,
  { table, replace, address, port, to }: LocalRedirect,
): Promise<void> {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, netns);
  const chain = (name: keyof typeof HOOK) =>
    request("add chain", MESSAGE.newChain, CREATE, [
      [1, table],
      [3, name],
      [4, [...u32(1, HOOK[name].number), ...u32(2, HOOK[name].priority)]],
      [7, "filter"],
    ]);
  const rule = (name: keyof typeof HOOK, match: Match) =>
    request("add rule", MESSAGE.newRule, CREATE | APPEND, [
      [1, table],
      [2, name],
      [4, ruleOf(match).map((one) => [1, one] as const)],
    ]);
  const rules = (["udp", "tcp"] as const).flatMap((protocol) => [
    rule("output", { ...SIDE.destination, protocol, address, from: port, to: to[protocol] }),
    rule("input", { ...SIDE.source, protocol, address, from: to[protocol], to: port }),
  ]);
  const table4 = (message: number, flags: number) => request("table", message, flags, [[1, table]]);
  try {
    await socket.exchangeAside([
      batch(BATCH.begin),
      table4(MESSAGE.newTable, CREATE),
      ...(replace ? [table4(MESSAGE.delTable, 0), table4(MESSAGE.newTable, CREATE)] : []),
      chain("output"),
      chain("input"),
      ...rules,
      batch(BATCH.end),
    ]);
  } finally {
    socket.close();
  }
}

/** The question before connection tracking and the answer after it, so that a container that tracks sees one port on both ways. */
const HOOK = { output: { number: 3, priority: -300 }, input: { number: 1, priority: 300 } } as const;
const REGISTER = 1;
const BASE = { network: 1, transport: 2 } as const;
const META_L4PROTO = 16;
const CHECKSUM_INET = 1;
const PROTOCOL = { udp: { number: 17, checksum: 6 }, tcp: { number: 6, checksum: 16 } } as const;
/** Offsets of the address in the IP header and of the port in the transport header. */
const SIDE = { source: { addressAt: 12, portAt: 0 }, destination: { addressAt: 16, portAt: 2 } } as const;

interface Match {
  readonly protocol: keyof typeof PROTOCOL;
  readonly address: Uint8Array;
  readonly addressAt: number;
  readonly portAt: number;
  readonly from: number;
  readonly to: number;
}

/** ip daddr A meta l4proto P th dport N th dport set M; the same of saddr and sport. */
function ruleOf({ protocol, address, addressAt, portAt, from, to }: Match): Attribute[][] {
  const { number, checksum } = PROTOCOL[protocol];
  return [
    load(BASE.network, addressAt, 4),
    equals(address),
    expression("meta", [...u32(1, REGISTER), ...u32(2, META_L4PROTO)]),
    equals(Uint8Array.of(number)),
    load(BASE.transport, portAt, 2),
    equals(portBytes(from)),
    expression("immediate", [...u32(1, REGISTER), [2, [[1, portBytes(to)]]]]),
    expression("payload", [
      ...u32(5, REGISTER),
      ...place(BASE.transport, portAt, 2),
      ...u32(6, CHECKSUM_INET),
      ...u32(7, checksum),
    ]),
  ];
}

function expression(name: string, data: readonly Attribute[]): Attribute[] {
  return [
    [1, name],
    [2, data],
  ];
}

function load(base: number, offset: number, length: number): Attribute[] {
  return expression("payload", [...u32(1, REGISTER), ...place(base, offset, length)]);
}

function place(base: number, offset: number, length: number): Attribute[] {
  return [...u32(2, base), ...u32(3, offset), ...u32(4, length)];
}

function equals(value: Uint8Array): Attribute[] {
  return expression("cmp", [...u32(1, REGISTER), ...u32(2, 0), [3, [[1, value]]]]);
}

/** nf_tables' numbers are in network order. */
function u32(type: number, value: number): Attribute[] {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return [[type, bytes]];
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

function request(what: string, message: number, flags: number, attributes: readonly Attribute[]): NetlinkRequest {
  const type = (SUBSYSTEM << 8) | message;
  return { what: `${what} of nftables`, type, flags, header: Uint8Array.of(NFPROTO_IPV4, 0, 0, 0), attributes };
}

function batch(type: number): NetlinkRequest {
  return { what: "nftables transaction", type, header: Uint8Array.of(0, 0, 0, SUBSYSTEM), silent: true };
}
