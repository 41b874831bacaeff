import { EngineError } from "../errors.ts";

/** Extended header records in order; a key may repeat (GNU sparse 0.0). Values are bytes: extended attributes are no text. */
export type PaxRecord = readonly [key: string, value: Buffer];

/** Reads the body of an "x" or "g" entry: `<length> <key>=<value>\n`, the length counting itself. */
export function decodePax(body: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const lengthText = space < 0 ? "" : body.toString("latin1", at, space);
    const end = at + (/^\d{1,9}$/.test(lengthText) ? Number(lengthText) : Number.NaN);
    const equals = space < 0 ? -1 : body.indexOf(0x3d, space + 1);
    if (!(end <= body.length) || equals < 0 || equals >= end || body[end - 1] !== 0x0a || equals === space + 1) {
      throw new EngineError("invalid", `invalid tar header: malformed extended header record at byte ${at}`);
    }
    records.push([body.toString("utf8", space + 1, equals), body.subarray(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** Sorted by key, so that equal records give equal bytes. Values that are text are ASCII. */
export function encodePax(records: ReadonlyMap<string, Buffer | string>): Buffer {
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = sorted.flatMap(([key, value]) => {
    const start = `${selfCounting(Buffer.byteLength(key) + value.length + 3)} ${key}=`;
    return typeof value === "string" ? [Buffer.from(`${start}${value}\n`)] : [Buffer.from(start), value, LINE_FEED];
  });
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

const LINE_FEED = Buffer.from("\n");

function selfCounting(rest: number): number {
  let total = rest + String(rest).length;
  if (String(total).length > String(rest).length) total = rest + String(total).length;
  return total;
}
