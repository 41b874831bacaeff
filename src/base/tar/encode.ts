import { EngineError } from "../errors.ts";
import { encodeOctal, encodeTime } from "./numbers.ts";
import { encodePax } from "./pax.ts";
import type { TarInput, TarType } from "./tar.ts";

/** Two zero blocks. */
export const TAR_END = Buffer.alloc(1024);

/**
 * The header blocks of an entry: ustar, with an extended header in front only for what ustar cannot say (long or non-ASCII
 * names, large numbers, nanoseconds, extended attributes). Equal inputs give equal bytes.
 */
export function encodeTarHeader(input: TarInput): Buffer {
  const type = input.type ?? "file";
  const pax: PaxValues = new Map();
  const block = SCRATCH.fill(0);
  putPath(block, pax, pathBytes(input.path, type));
  putText(block, pax, 157, 100, "linkpath", bytesOf(input.linkPath ?? ""));
  putText(block, pax, 265, 31, "uname", bytesOf(input.userName ?? ""));
  putText(block, pax, 297, 31, "gname", bytesOf(input.groupName ?? ""));
  encodeOctal(block, 100, 8, (input.mode ?? DEFAULT_MODES[type]) & 0o7777);
  putNumber(block, pax, 108, 8, "uid", input.uid ?? 0);
  putNumber(block, pax, 116, 8, "gid", input.gid ?? 0);
  putNumber(block, pax, 124, 12, "size", type === "file" ? (input.size ?? 0) : 0);
  putTime(block, pax, input.mtime ?? 0n);
  putNumber(block, pax, 329, 8, "SCHILY.devmajor", input.major ?? 0);
  putNumber(block, pax, 337, 8, "SCHILY.devminor", input.minor ?? 0);
  for (const [name, value] of input.xattrs ?? []) pax.set(`SCHILY.xattr.${name}`, value);
  finish(block, FLAGS[type]);
  return pax.size === 0 ? Buffer.from(block) : withExtended(encodePax(pax), block);
}

type PaxValues = Map<string, Buffer | string>;

/** Where a header is put together: a layer of many small files has thousands, and making buffers takes longer than filling them. */
const SCRATCH = Buffer.alloc(512);

const FLAGS: Readonly<Record<TarType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

const DEFAULT_MODES: Readonly<Record<TarType, number>> = {
  file: 0o644,
  hardlink: 0o644,
  symlink: 0o777,
  char: 0o644,
  block: 0o644,
  directory: 0o755,
  fifo: 0o644,
};

function pathBytes(path: string | Buffer, type: TarType): Buffer {
  const bytes = bytesOf(path);
  if (bytes.length === 0 || bytes.includes(0))
    throw new EngineError("internal", `a tar entry cannot have the path ${JSON.stringify(path)}`);
  return type === "directory" && bytes.at(-1) !== SLASH ? Buffer.concat([bytes, Buffer.from("/")]) : bytes;
}

const SLASH = 0x2f;

function bytesOf(text: string | Buffer): Buffer {
  if (typeof text !== "string") return text;
  return text === "" ? NOTHING : Buffer.from(text);
}

const NOTHING = Buffer.alloc(0);

/** A loop: a callback for each byte makes up a third of what copying a small file takes. */
function isAscii(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) if ((bytes[at] as number) >= 0x80) return false;
  return true;
}

/** Whole in the name field, or cut at a slash into prefix and name, or in the extended header. */
function putPath(block: Buffer, pax: PaxValues, path: Buffer): void {
  const cut = path.length <= 100 ? 0 : path.lastIndexOf(SLASH, Math.min(155, path.length - 2));
  const rest = cut > 0 ? path.subarray(cut + 1) : path;
  if (!isAscii(path) || rest.length > 100) {
    putLong(block, pax, 0, 100, "path", path);
  } else {
    rest.copy(block, 0);
    path.copy(block, 345, 0, Math.max(0, cut));
  }
}

function putText(block: Buffer, pax: PaxValues, start: number, length: number, key: string, value: Buffer): void {
  if (value.length === 0) return;
  if (value.length <= length && isAscii(value)) value.copy(block, start);
  else putLong(block, pax, start, length, key, value);
}

function putLong(block: Buffer, pax: PaxValues, start: number, length: number, key: string, value: Buffer): void {
  value.copy(block, start, 0, Math.min(length, value.length));
  pax.set(key, value);
  if (!Buffer.from(value.toString()).equals(value)) pax.set("hdrcharset", "BINARY");
}

function putNumber(block: Buffer, pax: PaxValues, start: number, length: number, key: string, value: number): void {
  if (encodeOctal(block, start, length, value)) return;
  encodeOctal(block, start, length, 0);
  pax.set(key, String(value));
}

function putTime(block: Buffer, pax: PaxValues, mtime: bigint): void {
  const seconds = Number(mtime / 1_000_000_000n);
  const exact = mtime % 1_000_000_000n === 0n;
  if (encodeOctal(block, 136, 12, seconds) && exact) return;
  if (mtime < 0n) encodeOctal(block, 136, 12, 0);
  pax.set("mtime", encodeTime(mtime));
}

/** All but size and checksum. */
const EXTENDED = Buffer.alloc(512);
EXTENDED.write("PaxHeaders/entry", 0, "latin1");
for (const start of [108, 116]) encodeOctal(EXTENDED, start, 8, 0);
encodeOctal(EXTENDED, 100, 8, 0o644);
encodeOctal(EXTENDED, 136, 12, 0);

function withExtended(body: Buffer, header: Buffer): Buffer {
  const after = 512 + Math.ceil(body.length / 512) * 512;
  const all = Buffer.alloc(after + 512);
  EXTENDED.copy(all);
  encodeOctal(all, 124, 12, body.length);
  finish(all, "x");
  body.copy(all, 512);
  header.copy(all, after);
  return all;
}

/** Flag, magic and checksum of the block at the start of `block`. */
function finish(block: Buffer, flag: string): void {
  block.write(flag, 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let at = 0; at < 512; at++) sum += block[at] as number;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

/** The zeros that fill up the last block of a body. */
export function tarPadding(size: number): Buffer {
  return TAR_END.subarray(0, (512 - (size % 512)) % 512);
}
