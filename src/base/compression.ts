import type { Transform } from "node:stream";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { EngineError } from "./errors.ts";

export type Compression = "none" | "gzip" | "zstd";

/** Bytes that `detectCompression` wants to see (fewer at the end of short data). */
export const MAGIC_BYTES = 6;

/** Recognised, and read by programs of their own (kernel/unpack-tools.ts). */
export type ForeignCompression = "bzip2" | "xz";

/** By the first bytes. "invalid" for compressions that are recognised and not read here (bzip2, xz). */
export function detectCompression(start: Uint8Array): Compression {
  const kind = recogniseCompression(start);
  if (kind !== "bzip2" && kind !== "xz") return kind;
  throw new EngineError("invalid", `the archive is compressed with ${kind}: only gzip and zstd are read`);
}

/** By the first bytes. */
export function recogniseCompression(start: Uint8Array): Compression | ForeignCompression {
  const magic = Buffer.from(start.subarray(0, MAGIC_BYTES)).toString("hex");
  return MAGICS.find(([prefix]) => prefix.test(magic))?.[1] ?? "none";
}

/** The second zstd line: a skippable frame, as seekable archives begin with. */
const MAGICS: readonly (readonly [RegExp, Compression | ForeignCompression])[] = [
  [/^1f8b/, "gzip"],
  [/^28b52ffd/, "zstd"],
  [/^5[0-9a-f]2a4d18/, "zstd"],
  [/^425a68/, "bzip2"],
  [/^fd377a585a00/, "xz"],
];

/** Bytes of source that a decompressor keeps waiting before it asks who writes to it to stop. */
export const DECOMPRESSOR_BACKLOG = 1 << 20;

/** A stream from compressed to plain bytes in pieces of up to 256 KiB (which a processor's cache holds); undefined for "none". Several members or frames are read as one. */
export function createDecompressor(kind: Compression): Transform | undefined {
  const options = { chunkSize: 256 << 10, highWaterMark: DECOMPRESSOR_BACKLOG };
  if (kind === "gzip") return createGunzip(options);
  // A window up to 128 MiB, as the zstd command accepts by default.
  if (kind === "zstd") return createZstdDecompress({ ...options, params: { [constants.ZSTD_d_windowLogMax]: 27 } });
  return undefined;
}
