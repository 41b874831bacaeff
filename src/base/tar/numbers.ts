import { EngineError } from "../errors.ts";

/** A numeric header field: octal digits with leading or trailing blanks, or base-256 (first byte 0x80 or 0xff). Empty is 0. */
export function decodeNumber(block: Buffer, start: number, length: number): number {
  const first = block[start] as number;
  if ((first & 0x80) !== 0) return decodeBase256(block, start, length);
  let value = 0;
  let at = start;
  const end = start + length;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++;
  for (; at < end; at++) {
    const digit = (block[at] as number) - 0x30;
    if (digit >= 0 && digit <= 7) value = value * 8 + digit;
    else if (block[at] === 0x20 || block[at] === 0) break;
    else throw new EngineError("invalid", "invalid tar header: a number field has a byte that is no octal digit");
  }
  return checked(value);
}

function decodeBase256(block: Buffer, start: number, length: number): number {
  const negative = block[start] === 0xff;
  let value = negative ? -1n : BigInt((block[start] as number) & 0x7f);
  for (let at = start + 1; at < start + length; at++) value = (value << 8n) | BigInt(block[at] as number);
  return checked(Number(value));
}

function checked(value: number): number {
  if (Number.isSafeInteger(value)) return value;
  throw new EngineError("invalid", "invalid tar header: a number is out of range");
}

/** Writes octal digits and a closing NUL; false (nothing written) when the value does not fit. */
export function encodeOctal(block: Buffer, start: number, length: number, value: number): boolean {
  if (value < 0 || !Number.isSafeInteger(value)) return false;
  const digits = value.toString(8);
  if (digits.length > length - 1) return false;
  block.write(digits.padStart(length - 1, "0"), start, "latin1");
  return true;
}

/** "1700000000.123456789" in nanoseconds since the epoch; digits past the ninth are dropped. */
export function decodeTime(text: string): bigint {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (match === null) throw new EngineError("invalid", `invalid tar header: ${JSON.stringify(text)} is no time`);
  const [, sign, seconds = "0", fraction = ""] = match;
  const value = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return sign === "-" ? -value : value;
}

export function encodeTime(nanoseconds: bigint): string {
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = (magnitude % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  const seconds = (magnitude / 1_000_000_000n).toString();
  return `${nanoseconds < 0n ? "-" : ""}${seconds}${fraction === "" ? "" : `.${fraction}`}`;
}

/** A decimal number in an extended header. */
export function decodeDecimal(text: string, key: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new EngineError(
    "invalid",
    `invalid tar header: ${key} is ${JSON.stringify(text.slice(0, 50))}, expected a number`,
  );
}
