/** Netlink's framing (man 7 netlink): messages of attributes, in the machine's byte order; both supported machines are little-endian. */
import { closeSync } from "node:fs";
import { getSystemErrorName } from "node:util";
import { native } from "./native.ts";
import { openSocket } from "./netns.ts";

/** A number is a u32 of the machine's order, a string ends in NUL, a list is nested. */
export type Attribute = readonly [type: number, value: number | string | Uint8Array | readonly Attribute[]];

export interface NetlinkRequest {
  /** For the error's text: "add route". */
  readonly what: string;
  readonly type: number;
  /** Beside NLM_F_REQUEST; exactly one of ACK or DUMP is added when neither is given: ACK. */
  readonly flags?: number | undefined;
  /** The fixed part after the netlink header. */
  readonly header: Uint8Array;
  readonly attributes?: readonly Attribute[] | undefined;
  /** Errors that count as success: ["EEXIST"]. */
  readonly tolerate?: readonly string[] | undefined;
  /** A netfilter batch's begin and end are not answered. */
  readonly silent?: boolean | undefined;
}

export interface NetlinkMessage {
  readonly type: number;
  /** Without the netlink header. */
  readonly payload: Buffer;
}

export const FLAG = {
  request: 1,
  ack: 4,
  root: 0x100,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
} as const;
const HEADER = 16;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
const MESSAGE_ERROR = 2;
const MESSAGE_DONE = 3;
const AF_NETLINK = 16;
const SOCK_RAW = 3;

/** A netlink socket, in our namespace or in another; it keeps that namespace alive until closed. */
export class NetlinkSocket {
  readonly #open: () => number;
  readonly #fd: number;
  /** The descriptor of what goes on aside, and the last of that. */
  #asideFd: number | undefined;
  #aside: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(protocol: number, netns?: string) {
    this.#open = () => openSocket({ netns, family: AF_NETLINK, type: SOCK_RAW, protocol });
    this.#fd = this.#open();
  }

  /**
   * Sends all requests in one message and waits for all answers (synchronously: the kernel answers at once). The kernel carries
   * out each of them whatever became of the ones before; the first error that is not tolerated is thrown, with its `code`.
   */
  exchange(requests: readonly NetlinkRequest[]): NetlinkMessage[] {
    if (requests.length === 0) return [];
    return answersOf(requests, native.netlinkExchange(this.#fd, Buffer.concat(requests.map(encode))));
  }

  /**
   * The same on a thread, for what takes the kernel milliseconds (removing a link) or may have to wait for that. One after another;
   * what `exchange` does meanwhile is not ordered with it. Not after `close`.
   */
  exchangeAside(requests: readonly NetlinkRequest[]): Promise<NetlinkMessage[]> {
    if (requests.length === 0) return Promise.resolve([]);
    this.#asideFd ??= this.#open();
    const fd = this.#asideFd;
    const message = Buffer.concat(requests.map(encode));
    const answer = this.#aside.then(() => native.netlinkExchangeAside(fd, message));
    this.#aside = answer.catch(() => {});
    return answer.then((reply) => answersOf(requests, reply));
  }

  /** Idempotent. What goes on aside is finished first. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
    const fd = this.#asideFd;
    if (fd !== undefined) void this.#aside.then(() => closeSync(fd));
  }
}

function answersOf(requests: readonly NetlinkRequest[], reply: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let failure: Error | undefined;
  for (const { type, sequence, payload } of decode(reply)) {
    if (type === MESSAGE_DONE) continue;
    if (type !== MESSAGE_ERROR) messages.push({ type, payload });
    else failure ??= failureOf(requests[sequence - 1], payload.readInt32LE(0));
  }
  if (failure !== undefined) throw failure;
  return messages;
}

function failureOf(request: NetlinkRequest | undefined, code: number): Error | undefined {
  if (code === 0) return undefined;
  const name = getSystemErrorName(code);
  if (request?.tolerate?.includes(name)) return undefined;
  const what = request?.what ?? "netlink";
  return Object.assign(new Error(`${what}: ${name}`), { code: name, syscall: what });
}

function encode({ type, flags = 0, header, attributes = [], silent }: NetlinkRequest, index: number): Buffer {
  const body = Buffer.concat([padded(header), encodeAttributes(attributes)]);
  const head = Buffer.alloc(HEADER);
  head.writeUInt32LE(HEADER + body.length, 0);
  head.writeUInt16LE(type, 4);
  const answer = silent || (flags & FLAG.dump) === FLAG.dump ? 0 : FLAG.ack;
  head.writeUInt16LE(FLAG.request | flags | answer, 6);
  head.writeUInt32LE(index + 1, 8);
  return Buffer.concat([head, body]);
}

/** The attributes as bytes, each padded to four. */
export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(attributes.map(encodeAttribute));
}

function encodeAttribute([type, value]: Attribute): Uint8Array {
  const nested = Array.isArray(value);
  const data = bytesOf(value);
  const head = Buffer.alloc(4);
  head.writeUInt16LE(4 + data.length, 0);
  head.writeUInt16LE(nested ? type | NESTED : type, 2);
  return padded(Buffer.concat([head, data]));
}

function bytesOf(value: Attribute[1]): Uint8Array {
  if (typeof value === "string") return Buffer.from(`${value}\0`);
  if (typeof value === "number") {
    const data = Buffer.alloc(4);
    data.writeUInt32LE(value >>> 0, 0);
    return data;
  }
  return value instanceof Uint8Array ? value : encodeAttributes(value);
}

function padded(data: Uint8Array): Uint8Array {
  const rest = data.length % 4;
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(4 - rest)]);
}

function* decode(data: Buffer): Generator<NetlinkMessage & { sequence: number }> {
  for (let at = 0; at + HEADER <= data.length; ) {
    const length = data.readUInt32LE(at);
    if (length < HEADER || at + length > data.length) return;
    yield {
      type: data.readUInt16LE(at + 4),
      sequence: data.readUInt32LE(at + 8),
      payload: data.subarray(at + HEADER, at + length),
    };
    at += (length + 3) & ~3;
  }
}

/** Attribute type → bytes, of the bytes from `offset` on; of a repeated type the last. */
export function decodeAttributes(data: Buffer, offset = 0): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = offset; at + 4 <= data.length; ) {
    const length = data.readUInt16LE(at);
    if (length < 4 || at + length > data.length) break;
    found.set(data.readUInt16LE(at + 2) & TYPE_MASK, data.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}

export function decodeString(data: Buffer | undefined): string {
  return data === undefined ? "" : data.toString("utf8").replace(/\0.*$/s, "");
}
