import { recogniseCompression } from "../compression.ts";

/** Bytes that `isArchive` wants to see (fewer at the end of short data). */
export const ARCHIVE_HEAD_BYTES = 512;

/** Whether data that begins like this is compressed or a tar: by magic, or by the first header's checksum (the oldest format has no magic). */
export function isArchive(head: Uint8Array): boolean {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (recogniseCompression(bytes) !== "none" || bytes.toString("latin1", 257, 262) === "ustar") return true;
  if (bytes.length < ARCHIVE_HEAD_BYTES) return false;
  const header = bytes.subarray(0, ARCHIVE_HEAD_BYTES);
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  return sum === Number.parseInt(bytes.toString("latin1", 148, 156).replaceAll("\0", " ").trim(), 8);
}
