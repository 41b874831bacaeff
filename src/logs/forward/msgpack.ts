/** MessagePack, as far as the forward protocol needs it: https://github.com/msgpack/msgpack/blob/master/spec.md */

export type Packed = string | number | Buffer | readonly Packed[] | { readonly [key: string]: Packed } | EventTime;

/** The forward protocol's extension type 0: seconds and nanoseconds. */
export class EventTime {
  readonly nanoseconds: bigint;
  constructor(nanoseconds: bigint) {
    this.nanoseconds = nanoseconds;
  }
}

/** A Buffer becomes a text: what containers write has no other form. */
export function pack(value: Packed): Buffer {
  const parts: Buffer[] = [];
  write(parts, value);
  return Buffer.concat(parts);
}

function write(parts: Buffer[], value: Packed): void {
  if (typeof value === "number") parts.push(integer(value));
  else if (typeof value === "string") writeText(parts, Buffer.from(value));
  else if (Buffer.isBuffer(value)) writeText(parts, value);
  else if (value instanceof EventTime) parts.push(eventTime(value.nanoseconds));
  else if (Array.isArray(value)) {
    parts.push(length(value.length, { fixed: 0x90, most: 15, long: 0xdd }));
    for (const one of value as readonly Packed[]) write(parts, one);
  } else {
    const entries = Object.entries(value as { readonly [key: string]: Packed });
    parts.push(length(entries.length, { fixed: 0x80, most: 15, long: 0xdf }));
    for (const [key, one] of entries) {
      writeText(parts, Buffer.from(key));
      write(parts, one);
    }
  }
}

function writeText(parts: Buffer[], text: Buffer): void {
  parts.push(length(text.length, { fixed: 0xa0, most: 31, long: 0xdb }), text);
}

/** Short ones in one byte, all others in 32 bits. */
function length(count: number, { fixed, most, long }: { fixed: number; most: number; long: number }): Buffer {
  return count <= most ? Buffer.of(fixed | count) : withNumber(long, count);
}

/** 0 to 2^32 - 1. */
function integer(value: number): Buffer {
  return value < 0x80 ? Buffer.of(value) : withNumber(0xce, value);
}

function withNumber(head: number, value: number): Buffer {
  const bytes = Buffer.alloc(5, head);
  bytes.writeUInt32BE(value, 1);
  return bytes;
}

function eventTime(nanoseconds: bigint): Buffer {
  const bytes = Buffer.of(0xd7, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  bytes.writeUInt32BE(Number((nanoseconds / 1_000_000_000n) & 0xffffffffn), 2);
  bytes.writeUInt32BE(Number(nanoseconds % 1_000_000_000n), 6);
  return bytes;
}
