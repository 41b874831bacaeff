/** RFC 9110, section 14: byte ranges. */

export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

const ITEM = /^(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/;

/**
 * What a Range header asks of a representation of `size` bytes: one range, "unsatisfiable", or undefined for what a server ignores: no header, other
 * units, malformed ones, and several ranges (which it may answer with the whole).
 */
export function parseRange(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const [, list] = /^\s*bytes\s*=\s*(.*)$/i.exec(header ?? "") ?? [];
  if (list === undefined || list.includes(",")) return undefined;
  const [, first, last, suffix] = ITEM.exec(list.trim()) ?? [];
  if (suffix !== undefined)
    return suffix === "0" || size === 0 ? "unsatisfiable" : cut(size - Number(suffix), size, size);
  if (first === undefined || (last !== undefined && Number(last) < Number(first))) return undefined;
  if (Number(first) >= size) return "unsatisfiable";
  return cut(Number(first), last === undefined ? size : Number(last) + 1, size);
}

function cut(start: number, end: number, size: number): ByteRange {
  return { start: Math.max(start, 0), end: Math.min(end, size) };
}

export interface ContentRange {
  readonly start: number;
  /** Inclusive, as it is written. */
  readonly last: number;
}

/** The Content-Range of a chunk, `<first>-<last>` (some clients write `bytes first-last/total`); undefined when it is none. */
export function parseContentRange(header: string): ContentRange | undefined {
  const [, first, last] = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header.trim()) ?? [];
  if (first === undefined || last === undefined || Number(last) + 1 < Number(first)) return undefined;
  return { start: Number(first), last: Number(last) };
}
