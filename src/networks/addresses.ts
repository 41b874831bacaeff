/** IP addresses and subnets as numbers. */
import { isIP } from "node:net";

export type Family = 4 | 6;

export interface Ip {
  readonly family: Family;
  readonly value: bigint;
}

/** `ip` as it was written ("172.17.0.1" of "172.17.0.1/16"), `first` and `last` of the whole subnet. */
export interface Cidr {
  readonly family: Family;
  readonly ip: bigint;
  readonly prefix: number;
  readonly first: bigint;
  readonly last: bigint;
}

const BITS = { 4: 32, 6: 128 } as const;

/** Undefined when the text is no address; zones and brackets are not accepted. */
export function parseIp(text: string): Ip | undefined {
  const family = isIP(text);
  if (family === 4) return { family: 4, value: fourBytes(text) };
  if (family !== 6 || text.includes("%")) return undefined;
  const mapped = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const plain = mapped === null ? text : `${mapped[1]}${hexPair(fourBytes(mapped[2] ?? ""))}`;
  const [left = "", right] = plain.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const groups = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => "0"), ...tail];
  return { family: 6, value: BigInt(`0x${groups.map((group) => group.padStart(4, "0")).join("")}`) };
}

function fourBytes(text: string): bigint {
  return text.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function hexPair(value: bigint): string {
  return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
}

/** The canonical text (RFC 5952). */
export function formatIp({ family, value }: Ip): string {
  const hex = value.toString(16).padStart(BITS[family] / 4, "0");
  if (family === 4) return (hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).join(".");
  const groups = (hex.match(/..../g) ?? []).map((group) => Number.parseInt(group, 16).toString(16));
  const { at, length } = longestZeros(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, at).join(":")}::${groups.slice(at + length).join(":")}`;
}

/** The first of the longest runs of "0". */
function longestZeros(groups: readonly string[]): { at: number; length: number } {
  let best = { at: 0, length: 0 };
  let length = 0;
  for (const [index, group] of groups.entries()) {
    length = group === "0" ? length + 1 : 0;
    if (length > best.length) best = { at: index - length + 1, length };
  }
  return best;
}

/** Network order. */
export function ipBytes({ family, value }: Ip): Buffer {
  return Buffer.from(value.toString(16).padStart(BITS[family] / 4, "0"), "hex");
}

export function ipOfBytes(bytes: Uint8Array): Ip {
  const hex = Buffer.from(bytes).toString("hex");
  return { family: bytes.length === 16 ? 6 : 4, value: hex === "" ? 0n : BigInt(`0x${hex}`) };
}

/** Undefined when the text is no "address/bits". */
export function parseCidr(text: string): Cidr | undefined {
  const [address = "", bits = ""] = text.split("/");
  const ip = parseIp(address);
  if (ip === undefined || !/^\d{1,3}$/.test(bits) || text.split("/").length !== 2) return undefined;
  const prefix = Number(bits);
  return prefix > BITS[ip.family] ? undefined : makeCidr(ip, prefix);
}

export function makeCidr({ family, value }: Ip, prefix: number): Cidr {
  const size = 1n << BigInt(BITS[family] - prefix);
  const first = value - (value % size);
  return { family, ip: value, prefix, first, last: first + size - 1n };
}

/** The subnet: "172.17.0.0/16". */
export function formatCidr({ family, first, prefix }: Cidr): string {
  return `${formatIp({ family, value: first })}/${prefix}`;
}

export function contains(outer: Cidr, { family, value }: Ip): boolean {
  return outer.family === family && outer.first <= value && value <= outer.last;
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** 02:42 and the IPv4 address: the same address has the same MAC, so neighbours' caches stay true when it is used again. */
export function macOf(ip: Ip): string {
  const bytes = ipBytes(ip);
  return [0x02, 0x42, ...bytes.subarray(bytes.length - 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The link-local address that follows from a MAC address (RFC 4291, appendix A). */
export function linkLocalOf(mac: Uint8Array): Ip {
  const [a = 0, ...rest] = mac;
  const id = Buffer.from([a ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)]);
  return { family: 6, value: (0xfe80n << 112n) | BigInt(`0x${id.toString("hex")}`) };
}

/** Six bytes, or undefined when the text is no MAC address. */
export function macBytes(text: string): Buffer | undefined {
  return /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text) ? Buffer.from(text.replace(/[:-]/g, ""), "hex") : undefined;
}

export function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

export function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
