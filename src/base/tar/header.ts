import { EngineError } from "../errors.ts";
import { decodeNumber } from "./numbers.ts";

/** One 512-byte header block as it stands, before extended headers have their say. */
export interface RawHeader {
  readonly typeflag: string;
  readonly format: "v7" | "ustar" | "gnu";
  readonly path: Buffer;
  readonly linkPath: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds. */
  readonly mtime: number;
  readonly userName: string;
  readonly groupName: string;
  readonly major: number;
  readonly minor: number;
}

/** Throws "invalid" when the checksum (signed or unsigned sum) or a number is wrong. */
export function decodeHeader(block: Buffer): RawHeader {
  checkSum(block);
  const format = formatOf(block);
  const modern = format !== "v7";
  const name = field(block, 0, 100);
  const prefix = format === "ustar" ? field(block, 345, isStar(block) ? 131 : 155) : EMPTY;
  return {
    typeflag: String.fromCharCode(block[156] as number),
    format,
    path: prefix.length === 0 ? name : Buffer.concat([prefix, SLASH, name]),
    linkPath: field(block, 157, 100),
    mode: decodeNumber(block, 100, 8) & 0o7777,
    uid: decodeNumber(block, 108, 8),
    gid: decodeNumber(block, 116, 8),
    size: decodeNumber(block, 124, 12),
    mtime: decodeNumber(block, 136, 12),
    userName: modern ? field(block, 265, 32).toString() : "",
    groupName: modern ? field(block, 297, 32).toString() : "",
    major: modern ? decodeNumber(block, 329, 8) : 0,
    minor: modern ? decodeNumber(block, 337, 8) : 0,
  };
}

const EMPTY = Buffer.alloc(0);
const SLASH = Buffer.from("/");

function formatOf(block: Buffer): RawHeader["format"] {
  const magic = block.toString("latin1", 257, 265);
  if (magic === "ustar  \0") return "gnu";
  return magic.startsWith("ustar") ? "ustar" : "v7";
}

/** star's own format: a shorter prefix, then times. */
function isStar(block: Buffer): boolean {
  return block.toString("latin1", 508, 512) === "tar\0";
}

/** A copy of a NUL-terminated field. */
function field(block: Buffer, start: number, length: number): Buffer {
  if (block[start] === 0) return EMPTY;
  let end = start;
  while (end < start + length && block[end] !== 0) end++;
  return Buffer.from(block.subarray(start, end));
}

function checkSum(block: Buffer): void {
  let unsigned = 8 * 0x20;
  let high = 0;
  for (let i = 0; i < 512; i++) {
    if (i === 148) i = 156;
    const byte = block[i] as number;
    unsigned += byte;
    if (byte > 127) high++;
  }
  const stated = decodeNumber(block, 148, 8);
  if (stated !== unsigned && stated !== unsigned - high * 256) {
    throw new EngineError("invalid", "invalid tar header: wrong checksum");
  }
}

export function isZeroBlock(block: Buffer): boolean {
  if (block[0] !== 0) return false;
  for (let i = 1; i < 512; i++) if (block[i] !== 0) return false;
  return true;
}
