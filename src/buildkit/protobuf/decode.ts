import { EngineError } from "../../base/errors.ts";
import type { Decoded, Field, Fields, FieldType, Message } from "./message.ts";

/** Messages within messages. The deepest that BuildKit has is six. */
const MAX_DEPTH = 32;

/** Throws "invalid" for bytes that are no such message. Fields that the table does not have are skipped. */
export function decode<F extends Fields>(message: Message<F>, bytes: Uint8Array): Decoded<F> {
  return decodeAt(message, bytes, 0) as Decoded<F>;
}

type Values = Record<string, unknown>;

/** By number, made once for each table. */
const NUMBERED = new WeakMap<Message, ReadonlyMap<number, readonly [name: string, field: Field]>>();

function numbered(message: Message): ReadonlyMap<number, readonly [string, Field]> {
  const known = NUMBERED.get(message);
  if (known !== undefined) return known;
  const made = new Map(Object.entries(message.fields).map(([name, field]) => [field.number, [name, field]] as const));
  NUMBERED.set(message, made);
  return made;
}

function decodeAt(message: Message, bytes: Uint8Array, depth: number): Values {
  if (depth > MAX_DEPTH) throw malformed("it is nested too deeply");
  const values = defaults(message);
  const fields = numbered(message);
  const reader = new Reader(bytes);
  while (!reader.ended) {
    const tag = reader.int();
    const [name, field] = fields.get(Math.floor(tag / 8)) ?? [];
    const wire = tag % 8;
    if (name === undefined || field === undefined) reader.skip(wire);
    else readField({ name, field, wire, depth }, reader, values);
  }
  return values;
}

/** Without a prototype where keys come from the sender. */
function defaults({ fields }: Message): Values {
  const values: Values = {};
  for (const [name, { type, shape }] of Object.entries(fields)) {
    if (shape === "many") values[name] = [];
    else if (shape === "map") values[name] = Object.create(null);
    else values[name] = typeof type === "object" ? undefined : ZERO[type]();
  }
  return values;
}

const ZERO = { string: () => "", bytes: () => new Uint8Array(0), bool: () => false, int: () => 0, big: () => 0n };

interface Place {
  readonly name: string;
  readonly field: Field;
  readonly wire: number;
  readonly depth: number;
}

function readField({ name, field, wire, depth }: Place, reader: Reader, values: Values): void {
  const { type, shape } = field;
  if (shape === "map") {
    const entry = {
      fields: { key: { number: 1, type: "string", shape: "one" }, value: { ...field, number: 2, shape: "one" } },
    };
    const { key, value } = decodeAt(entry as Message, reader.bytes(wire), depth + 1);
    (values[name] as Values)[key as string] = value ?? (typeof type === "object" ? defaults(type) : undefined);
  } else if (shape === "one") values[name] = readOne(type, wire, reader, depth);
  else if (wire === 2 && (type === "int" || type === "big" || type === "bool")) {
    const inner = new Reader(reader.bytes(wire));
    while (!inner.ended) (values[name] as unknown[]).push(readOne(type, 0, inner, depth));
  } else (values[name] as unknown[]).push(readOne(type, wire, reader, depth));
}

function readOne(type: FieldType, wire: number, reader: Reader, depth: number): unknown {
  if (typeof type === "object") return decodeAt(type, reader.bytes(wire), depth + 1);
  if (type === "string") return Buffer.from(reader.bytes(wire)).toString();
  if (type === "bytes") return reader.bytes(wire);
  if (wire !== 0) throw malformed(`a number has wire type ${wire}`);
  if (type === "bool") return reader.big() !== 0n;
  return type === "int" ? reader.int() : reader.big();
}

class Reader {
  readonly #data: Uint8Array;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  get ended(): boolean {
    return this.#at >= this.#data.length;
  }

  /** Signed, 64 bits. */
  big(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw malformed("a number has more than ten bytes");
  }

  int(): number {
    const start = this.#at;
    let value = 0;
    // Seven bytes hold 49 bits, which a double adds exactly.
    for (let scale = 1; this.#at < start + 7; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    this.#at = start;
    return Number(this.big());
  }

  /** A part of the message's own bytes. */
  bytes(wire: number): Uint8Array {
    if (wire !== 2) throw malformed(`a text or message has wire type ${wire}`);
    return this.#take(this.int());
  }

  skip(wire: number): void {
    if (wire === 0) this.big();
    else if (wire === 1) this.#take(8);
    else if (wire === 2) this.#take(this.int());
    else if (wire === 5) this.#take(4);
    else throw malformed(`there is no wire type ${wire}`);
  }

  #take(length: number): Uint8Array {
    if (length < 0 || length > this.#data.length - this.#at) throw malformed("it ends too early");
    this.#at += length;
    return this.#data.subarray(this.#at - length, this.#at);
  }

  #byte(): number {
    const byte = this.#data[this.#at++];
    if (byte === undefined) throw malformed("it ends too early");
    return byte;
  }
}

const malformed = (why: string): EngineError =>
  new EngineError("invalid", `the client sent a message that cannot be read: ${why}`);
