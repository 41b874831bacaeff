import { EngineError } from "../../base/errors.ts";
import type { Decoded, Field, Fields, FieldType, Message } from "./message.ts";

/** Messages within messages. The deepest that BuildKit has is six. */
const MAX_DEPTH = 32;

/** Messages and items within a whole message: each takes far more memory than the two bytes that it may come in. */
const MAX_ITEMS = 100_000;

/** Throws "invalid" for bytes that are no such message, or too many. Fields that the table does not have are skipped. */
export function decode<F extends Fields>(message: Message<F>, bytes: Uint8Array): Decoded<F> {
  return decodeAt(message, bytes, { depth: 0, budget: { left: MAX_ITEMS } }) as Decoded<F>;
}

type Values = Record<string, unknown>;

/** How far a message is: within how many others, and how many items all of them may still have. */
interface State {
  readonly depth: number;
  readonly budget: { left: number };
}

/** By number, made once for each table. */
const NUMBERED = new WeakMap<Message, ReadonlyMap<number, readonly [name: string, field: Field]>>();

function numbered(message: Message): ReadonlyMap<number, readonly [string, Field]> {
  const known = NUMBERED.get(message);
  if (known !== undefined) return known;
  const made = new Map(Object.entries(message.fields).map(([name, field]) => [field.number, [name, field]] as const));
  NUMBERED.set(message, made);
  return made;
}

function decodeAt(message: Message, bytes: Uint8Array, state: State): Values {
  if (state.depth > MAX_DEPTH) throw malformed("it is nested too deeply");
  if (state.depth > 0) spend(state);
  const values = defaults(message);
  const fields = numbered(message);
  const reader = new Reader(bytes);
  while (!reader.ended) {
    const tag = reader.int();
    const [name, field] = fields.get(Math.floor(tag / 8)) ?? [];
    const wire = tag % 8;
    if (name === undefined || field === undefined) reader.skip(wire);
    else readField({ name, field, wire, state }, reader, values);
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
  readonly state: State;
}

function readField({ name, field, wire, state }: Place, reader: Reader, values: Values): void {
  const { type, shape } = field;
  if (shape === "one") {
    values[name] = readOne(type, wire, reader, state);
    return;
  }
  if (shape === "map") {
    const { key, value } = decodeAt(entryOf(field), reader.bytes(wire), deeper(state));
    (values[name] as Values)[key as string] = value ?? (typeof type === "object" ? defaults(type) : undefined);
    return;
  }
  const items = values[name] as unknown[];
  const packed = wire === 2 && (type === "int" || type === "big" || type === "bool");
  const source = packed ? new Reader(reader.bytes(wire)) : reader;
  do {
    if (packed && source.ended) return;
    if (typeof type !== "object") spend(state);
    items.push(readOne(type, packed ? 0 : wire, source, state));
  } while (packed);
}

const deeper = ({ depth, budget }: State): State => ({ depth: depth + 1, budget });

function spend({ budget }: State): void {
  if (budget.left-- === 0) throw malformed(`it has more than ${MAX_ITEMS} items`);
}

/** By the map's field, made once for each. */
const ENTRIES = new WeakMap<Field, Message>();

/** An entry of a map as the message that it is. */
function entryOf(field: Field): Message {
  const known = ENTRIES.get(field);
  if (known !== undefined) return known;
  const fields: Fields = {
    key: { number: 1, type: "string", shape: "one" },
    value: { number: 2, type: field.type, shape: "one" },
  };
  const made: Message = { fields };
  ENTRIES.set(field, made);
  return made;
}

function readOne(type: FieldType, wire: number, reader: Reader, state: State): unknown {
  if (typeof type === "object") return decodeAt(type, reader.bytes(wire), deeper(state));
  if (type === "string") return textOf(reader.bytes(wire));
  if (type === "bytes") return reader.bytes(wire);
  if (wire !== 0) throw malformed(`a number has wire type ${wire}`);
  if (type === "bool") return reader.big() !== 0n;
  return type === "int" ? reader.int() : reader.big();
}

const textOf = (bytes: Uint8Array): string =>
  bytes.length === 0 ? "" : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();

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
    if (wire === 0) this.#skipNumber();
    else if (wire === 1) this.#take(8);
    else if (wire === 2) this.#take(this.int());
    else if (wire === 5) this.#take(4);
    else throw malformed(`there is no wire type ${wire}`);
  }

  #skipNumber(): void {
    for (let length = 1; this.#byte() >= 0x80; length++)
      if (length === 10) throw malformed("a number has more than ten bytes");
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
