/**
 * The wire format of DNS (RFC 1035, 6891), as far as a server must read it that answers for a few names and passes the rest on: the
 * question, and where the times to live are in an answer. Every length in a packet is somebody else's word and is checked.
 */

export const TYPE = { a: 1, soa: 6, ptr: 12, aaaa: 28, opt: 41 } as const;
export const RCODE = { ok: 0, formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4, refused: 5 } as const;
export const CLASS_INTERNET = 1;
const HEADER = 12;
const FLAG = { response: 0x8000, truncated: 0x0200, recursionDesired: 0x0100, recursionAvailable: 0x0080 } as const;
const OPCODE = 0x7800;
const CHECKING_DISABLED = 0x0010;
const MAX_NAME = 255;
const PLAIN_UDP = 512;
/** What fits into one packet on any path (RFC 9715), and the most that is sent by UDP to who asks for more: this never leaves the machine. */
const OUR_UDP = 1232;
const MAX_UDP = 4096;

export interface Query {
  readonly packet: Buffer;
  readonly id: number;
  /** As sent, but lower case and without the dot at its end; dots inside a label are written "\.". */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** The question section's end. */
  readonly end: number;
  /** The most bytes that may be answered by UDP. */
  readonly maxUdp: number;
  /** Whether the sender speaks EDNS. */
  readonly edns: boolean;
  /** What makes two answers to one question differ; undefined when the query carries more than a question, so that its answer is its own. */
  readonly variant: string | undefined;
}

/** A query; the code of the error to answer with; or undefined for what deserves no answer at all. */
export function readQuery(packet: Buffer): Query | number | undefined {
  if (packet.length < HEADER) return undefined;
  const flags = packet.readUInt16BE(2);
  if ((flags & FLAG.response) !== 0) return undefined;
  if ((flags & OPCODE) !== 0) return RCODE.notImplemented;
  const question = readQuestion(packet);
  if (question === undefined || packet.readUInt16BE(6) !== 0) return RCODE.formatError;
  const extra = readExtra(packet, question.end);
  if (extra === "malformed") return RCODE.formatError;
  const common = { packet, id: packet.readUInt16BE(0), ...question };
  const plain = flags & (FLAG.recursionDesired | CHECKING_DISABLED | 0x20);
  if (extra === "other") return { ...common, maxUdp: PLAIN_UDP, edns: false, variant: undefined };
  if (extra === "nothing") return { ...common, maxUdp: PLAIN_UDP, edns: false, variant: String(plain) };
  const maxUdp = Math.min(Math.max(extra.size, PLAIN_UDP), MAX_UDP);
  const variant = extra.plain ? `${plain}/${extra.dnssec ? "dnssec" : "edns"}` : undefined;
  return { ...common, maxUdp, edns: true, variant };
}

interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly end: number;
}

/** The one question; undefined when there are more or none, or it is cut off. */
export function readQuestion(packet: Buffer): Question | undefined {
  if (packet.length < HEADER || packet.readUInt16BE(4) !== 1) return undefined;
  let name = "";
  let at = HEADER;
  for (;;) {
    const length = packet[at];
    // No pointer: nothing comes before the question that it could point at.
    if (length === undefined || length > 63 || at + 1 + length > packet.length || at - HEADER > MAX_NAME)
      return undefined;
    at++;
    if (length === 0) break;
    const label = packet
      .toString("latin1", at, at + length)
      .toLowerCase()
      .replaceAll("\\", "\\\\")
      .replaceAll(".", "\\.");
    name += name === "" ? label : `.${label}`;
    at += length;
  }
  if (at + 4 > packet.length) return undefined;
  return { name, type: packet.readUInt16BE(at), class: packet.readUInt16BE(at + 2), end: at + 4 };
}

type Extra = "nothing" | "other" | "malformed" | { size: number; dnssec: boolean; plain: boolean };

/** What follows the question: nothing, or an OPT record, or something that is passed on unread. */
function readExtra(packet: Buffer, at: number): Extra {
  const [authority, additional] = [packet.readUInt16BE(8), packet.readUInt16BE(10)];
  if (authority === 0 && additional === 0) return at === packet.length ? "nothing" : "malformed";
  if (authority !== 0 || additional !== 1 || packet[at] !== 0) return "other";
  if (at + 11 > packet.length) return "malformed";
  const rest = packet.readUInt16BE(at + 9);
  if (at + 11 + rest !== packet.length) return "malformed";
  if (packet.readUInt16BE(at + 1) !== TYPE.opt) return "other";
  const plain = rest === 0 && packet[at + 6] === 0;
  return { size: packet.readUInt16BE(at + 3), dnssec: (packet.readUInt16BE(at + 7) & 0x8000) !== 0, plain };
}

export interface Answer {
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly data: Uint8Array;
}

/** A response of our own to the query; by UDP as much of it as fits, marked as cut off. */
export function respond(query: Query, code: number, answers: readonly Answer[], { udp }: { udp: boolean }): Buffer {
  const question = query.packet.subarray(HEADER, query.end);
  const opt = query.edns ? optRecord() : Buffer.alloc(0);
  const records = answers.map(record);
  let room = (udp ? query.maxUdp : 65_535) - HEADER - question.length - opt.length;
  const sent = records.filter(({ length }) => {
    room -= length;
    return room >= 0;
  });
  const head = header(query.packet, code, sent.length < records.length);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(sent.length, 6);
  head.writeUInt16BE(query.edns ? 1 : 0, 10);
  return Buffer.concat([head, question, ...sent, opt]);
}

/** A response without question to a packet that could not be read. */
export function respondError(packet: Buffer, code: number): Buffer {
  return header(packet, code, false);
}

function header(packet: Buffer, code: number, truncated: boolean): Buffer {
  const head = Buffer.alloc(HEADER);
  packet.copy(head, 0, 0, 2);
  const asked = packet.readUInt16BE(2) & (OPCODE | FLAG.recursionDesired | CHECKING_DISABLED);
  head.writeUInt16BE(asked | FLAG.response | FLAG.recursionAvailable | (truncated ? FLAG.truncated : 0) | code, 2);
  return head;
}

/** The owner is the question's name. */
function record({ type, ttl, data }: Answer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 | HEADER, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(CLASS_INTERNET, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function optRecord(): Buffer {
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(TYPE.opt, 1);
  opt.writeUInt16BE(OUR_UDP, 3);
  return opt;
}

/** A name of labels without dots inside them, as a PTR record has it; undefined when it would be too long. */
export function encodeName(name: string): Buffer | undefined {
  const labels = name.split(".").map((label) => Buffer.from(label, "latin1"));
  if (labels.some(({ length }) => length === 0 || length > 63)) return undefined;
  const encoded = Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.length), label]), Buffer.of(0)]);
  return encoded.length > MAX_NAME ? undefined : encoded;
}

export interface Response {
  readonly code: number;
  readonly truncated: boolean;
  /** Seconds for which it may be kept; 0: not at all. */
  readonly ttl: number;
  /** Where its times to live are, four bytes each. */
  readonly ttls: readonly number[];
}

/** What an upstream server answered to the query with that id; undefined when it is no answer to that, or cannot be read. */
export function readResponse(packet: Buffer, query: Query, id: number): Response | undefined {
  const question = readQuestion(packet);
  if (question === undefined || packet.readUInt16BE(0) !== id || (packet.readUInt16BE(2) & FLAG.response) === 0)
    return undefined;
  if (question.name !== query.name || question.type !== query.type || question.class !== query.class) return undefined;
  const records = readRecords(packet, question.end);
  if (records === undefined) return undefined;
  const flags = packet.readUInt16BE(2);
  const [code, truncated] = [flags & 0xf, (flags & FLAG.truncated) !== 0];
  return {
    code,
    truncated,
    ttl: truncated ? 0 : keepTime(packet, code, records),
    ttls: records.map(({ ttlAt }) => ttlAt),
  };
}

interface RecordPlace {
  readonly section: "answer" | "authority" | "additional";
  readonly type: number;
  readonly ttlAt: number;
  readonly dataEnd: number;
}

/** All records but OPT; undefined when they do not fit the packet. */
function readRecords(packet: Buffer, start: number): RecordPlace[] | undefined {
  const found: RecordPlace[] = [];
  let at = start;
  for (const [index, section] of (["answer", "authority", "additional"] as const).entries()) {
    for (let left = packet.readUInt16BE(6 + 2 * index); left > 0; left--) {
      const fixed = skipName(packet, at);
      if (fixed === undefined || fixed + 10 > packet.length) return undefined;
      const dataEnd = fixed + 10 + packet.readUInt16BE(fixed + 8);
      if (dataEnd > packet.length) return undefined;
      const type = packet.readUInt16BE(fixed);
      if (type !== TYPE.opt) found.push({ section, type, ttlAt: fixed + 4, dataEnd });
      at = dataEnd;
    }
  }
  return found;
}

function skipName(packet: Buffer, start: number): number | undefined {
  for (let at = start; ; ) {
    const length = packet[at];
    if (length === undefined) return undefined;
    if (length >= 0xc0) return at + 2;
    if (length > 63 || at - start > MAX_NAME) return undefined;
    at += 1 + length;
    if (length === 0) return at;
  }
}

/** An answer with records lives as long as the shortest of them; one that says no, as long as the SOA record says (RFC 2308). */
function keepTime(packet: Buffer, code: number, records: readonly RecordPlace[]): number {
  const ttlOf = ({ ttlAt }: RecordPlace) => packet.readUInt32BE(ttlAt);
  const answers = records.filter(({ section }) => section === "answer");
  if (code === RCODE.ok && answers.length > 0) return Math.min(...answers.map(ttlOf));
  if (code !== RCODE.ok && code !== RCODE.nameError) return 0;
  const soa = records.find(({ section, type }) => section === "authority" && type === TYPE.soa);
  return soa === undefined ? 0 : Math.min(ttlOf(soa), packet.readUInt32BE(soa.dataEnd - 4));
}

export interface Redress {
  /** Seconds since the answer was got. */
  readonly age: number;
  readonly ttls: readonly number[];
  readonly udp: boolean;
}

/** An upstream's answer as this asker gets it: with its id, its spelling of the name, and what is left of the times; cut off where it is too long. */
export function redress(packet: Buffer, query: Query, { age, ttls, udp }: Redress): Buffer {
  if (udp && packet.length > query.maxUdp) {
    const code = packet.readUInt16BE(2) & 0xf;
    const head = header(query.packet, code, true);
    head.writeUInt16BE(1, 4);
    return Buffer.concat([head, query.packet.subarray(HEADER, query.end)]);
  }
  const copy = Buffer.from(packet);
  query.packet.copy(copy, 0, 0, 2);
  query.packet.copy(copy, HEADER, HEADER, query.end);
  for (const at of ttls) copy.writeUInt32BE(Math.max(copy.readUInt32BE(at) - age, 0), at);
  return copy;
}

/** The query under another id, to be sent on. */
export function withId(packet: Buffer, id: number): Buffer {
  const copy = Buffer.from(packet);
  copy.writeUInt16BE(id, 0);
  return copy;
}
