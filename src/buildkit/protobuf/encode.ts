import type { Field, Fields, FieldType, Message, Part } from "./message.ts";

const LENGTH = 2;

/** The message's bytes. Fields that have their default are left out, as proto3 has it. */
export function encode<F extends Fields>(message: Message<F>, value: Part<F>): Buffer {
  const out: Uint8Array[] = [];
  const values = value as Readonly<Record<string, unknown>>;
  for (const [name, field] of Object.entries(message.fields)) {
    const given = values[name];
    if (given !== undefined) encodeField(field, given, out);
  }
  return Buffer.concat(out);
}

function encodeField({ number, type, shape }: Field, value: unknown, out: Uint8Array[]): void {
  if (shape === "many") {
    if (type === "int" || type === "big" || type === "bool") packed(number, type, value as unknown[], out);
    else for (const item of value as unknown[]) encodeOne(number, type, item, out);
  } else if (shape === "map") {
    for (const [key, item] of Object.entries(value as Record<string, unknown>)) {
      const entry: Uint8Array[] = [];
      encodeOne(1, "string", key, entry);
      encodeOne(2, type, item, entry);
      delimited(number, Buffer.concat(entry), out);
    }
  } else if (!isDefault(value)) encodeOne(number, type, value, out);
}

const isDefault = (value: unknown): boolean =>
  value === "" || value === 0 || value === 0n || value === false || (value instanceof Uint8Array && value.length === 0);

function packed(number: number, type: "int" | "big" | "bool", values: readonly unknown[], out: Uint8Array[]): void {
  if (values.length === 0) return;
  const body: Uint8Array[] = [];
  for (const value of values) body.push(type === "bool" ? varint(value ? 1n : 0n) : varint(BigInt(value as number)));
  delimited(number, Buffer.concat(body), out);
}

function encodeOne(number: number, type: FieldType, value: unknown, out: Uint8Array[]): void {
  if (type === "string") delimited(number, Buffer.from(value as string), out);
  else if (type === "bytes") delimited(number, value as Uint8Array, out);
  else if (typeof type === "object") delimited(number, encode(type, value as Part<Fields>), out);
  else {
    const whole = type === "bool" ? (value ? 1n : 0n) : BigInt(value as number | bigint);
    out.push(varint(BigInt(number << 3)), varint(whole));
  }
}

function delimited(number: number, body: Uint8Array, out: Uint8Array[]): void {
  out.push(varint(BigInt((number << 3) | LENGTH)), varint(BigInt(body.length)), body);
}

/** Negative numbers take ten bytes: they are two's complement of 64 bits. */
function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
