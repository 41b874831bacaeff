import { EngineError } from "../errors.ts";
import type { RawHeader } from "./header.ts";
import { decodeDecimal, decodeTime } from "./numbers.ts";
import type { PaxRecord } from "./pax.ts";
import { decodeSparseList } from "./sparse.ts";
import type { TarHeader, TarSegment, TarType } from "./tar.ts";

/** What one entry's extended headers and long names said, on top of the archive's global ones. */
export interface Extensions {
  readonly records: readonly PaxRecord[];
  readonly longPath: Buffer | undefined;
  readonly longLink: Buffer | undefined;
}

export interface MergedHeader {
  readonly header: TarHeader;
  /** Bytes that follow in the archive. */
  readonly stored: number;
  /** The map stands in front of the data (GNU sparse 1.0). */
  readonly mapInData: boolean;
}

/** Puts a header block and its extensions together. Throws "invalid" for types that no reader knows and for impossible values. */
export function mergeHeader(
  raw: RawHeader,
  extensions: Extensions,
  sparse: readonly TarSegment[] | undefined,
  realSize?: number,
): MergedHeader {
  const pax = new PaxValues(extensions.records);
  const rawPath = pax.bytes("GNU.sparse.name") ?? pax.bytes("path") ?? extensions.longPath ?? raw.path;
  const path = textOf(rawPath, "path");
  const type = typeOf(raw, path.text);
  const isFile = type === "file";
  const hasLink = type === "hardlink" || type === "symlink";
  const link = textOf(hasLink ? (pax.bytes("linkpath") ?? extensions.longLink ?? raw.linkPath) : EMPTY, "linkpath");
  const stored = isFile ? (pax.number("size") ?? raw.size) : 0;
  const map = sparse ?? pax.sparseMap();
  const mapInData = isFile && pax.text("GNU.sparse.major") === "1" && pax.text("GNU.sparse.minor") === "0";
  const size = realSize ?? pax.number("GNU.sparse.realsize") ?? pax.number("GNU.sparse.size") ?? stored;
  const header: TarHeader = {
    type,
    path: path.text,
    rawPath: path.raw,
    linkPath: link.text,
    rawLinkPath: link.raw,
    mode: raw.mode,
    uid: natural(pax.number("uid") ?? raw.uid, "uid"),
    gid: natural(pax.number("gid") ?? raw.gid, "gid"),
    userName: pax.text("uname") ?? raw.userName,
    groupName: pax.text("gname") ?? raw.groupName,
    size: isFile ? natural(map !== undefined || mapInData ? size : stored, "size") : 0,
    mtime: pax.time("mtime") ?? BigInt(raw.mtime) * 1_000_000_000n,
    atime: pax.time("atime"),
    major: pax.number("SCHILY.devmajor") ?? raw.major,
    minor: pax.number("SCHILY.devminor") ?? raw.minor,
    xattrs: pax.xattrs(),
    sparse: isFile && !mapInData ? map : undefined,
  };
  return { header, stored: natural(stored, "size"), mapInData };
}

const EMPTY = Buffer.alloc(0);
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const TYPES: Readonly<Record<string, TarType>> = {
  "\0": "file",
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  S: "file",
};

function typeOf(raw: RawHeader, path: string): TarType {
  const type = TYPES[raw.typeflag];
  if (type === undefined) {
    throw new EngineError(
      "invalid",
      `unsupported tar entry type ${JSON.stringify(raw.typeflag)} of ${JSON.stringify(path)}`,
    );
  }
  return type === "file" && path.endsWith("/") ? "directory" : type;
}

function textOf(bytes: Buffer, name: string): { text: string; raw: Buffer | undefined } {
  if (bytes.includes(0)) throw new EngineError("invalid", `invalid tar header: a NUL byte in ${name}`);
  const text = bytes.toString();
  return { text, raw: text.includes("\ufffd") && !Buffer.from(text).equals(bytes) ? bytes : undefined };
}

function natural(value: number, name: string): number {
  if (value >= 0) return value;
  throw new EngineError("invalid", `invalid tar header: negative ${name}`);
}

/** Access to extended header records; a later record of a key wins, an empty one takes the key away. */
class PaxValues {
  readonly #values: Map<string, Buffer> | undefined;
  readonly #records: readonly PaxRecord[];

  constructor(records: readonly PaxRecord[]) {
    this.#records = records;
    if (records.length === 0) return;
    this.#values = new Map(records);
    for (const [key, value] of this.#values) if (value.length === 0 && !key.startsWith(XATTR)) this.#values.delete(key);
  }

  bytes(key: string): Buffer | undefined {
    return this.#values?.get(key);
  }

  text(key: string): string | undefined {
    return this.bytes(key)?.toString();
  }

  number(key: string): number | undefined {
    const text = this.text(key);
    return text === undefined ? undefined : decodeDecimal(text, key);
  }

  time(key: string): bigint | undefined {
    const text = this.text(key);
    return text === undefined ? undefined : decodeTime(text);
  }

  /** Maps of the sparse formats 0.1 (one list) and 0.0 (repeated records). */
  sparseMap(): TarSegment[] | undefined {
    if (this.#values === undefined) return undefined;
    const list = this.text("GNU.sparse.map");
    if (list !== undefined) return decodeSparseList(list.split(","));
    if (!this.#values.has("GNU.sparse.offset")) return this.#values.has("GNU.sparse.numblocks") ? [] : undefined;
    const pairs = this.#records.filter(([key]) => key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes");
    return decodeSparseList(pairs.map(([, value]) => value.toString("latin1")));
  }

  /** SCHILY.xattr.* as bytes; LIBARCHIVE.xattr.* (percent-coded name, base64 value) only where the former is missing. */
  xattrs(): ReadonlyMap<string, Buffer> {
    if (this.#values === undefined) return NO_XATTRS;
    let found: Map<string, Buffer> | undefined;
    for (const [key, value] of this.#values) {
      if (key.startsWith(XATTR)) found = (found ?? new Map()).set(key.slice(XATTR.length), value);
      else if (key === "RHT.security.selinux") found = (found ?? new Map()).set("security.selinux", value);
    }
    for (const [key, value] of this.#values) {
      const name = key.startsWith(LIBARCHIVE) ? percentDecoded(key.slice(LIBARCHIVE.length)) : undefined;
      if (name !== undefined && found?.has(name) !== true) {
        found = (found ?? new Map()).set(name, Buffer.from(value.toString("latin1"), "base64"));
      }
    }
    return found ?? NO_XATTRS;
  }
}

const XATTR = "SCHILY.xattr.";
const LIBARCHIVE = "LIBARCHIVE.xattr.";

function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
