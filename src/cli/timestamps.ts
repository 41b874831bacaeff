/** Times as people give them to `--since` and `--until`. */
import { parseDuration } from "../base/durations.ts";

const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::(\d\d))?(?::(\d\d)(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/;

/** Seconds since the epoch as text, with a fraction. A duration counts back from now; a time without a zone is local. */
export function timestampText(text: string, nowMs: number, flag?: string): string {
  const duration = parseDuration(text);
  if (duration !== undefined && /[a-zµ]/.test(text))
    return secondsText(BigInt(nowMs) * 1_000_000n - BigInt(Math.round(duration)));
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  const match = DATE.exec(text);
  if (match === null) {
    const where = flag === undefined ? "" : `invalid value for "${flag}": `;
    throw new Error(`${where}failed to parse value as time or duration: ${JSON.stringify(text)}`);
  }
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", zone = ""] = match;
  const milliseconds = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`);
  return secondsText(BigInt(milliseconds) * 1_000_000n + BigInt(fraction.slice(1, 10).padEnd(9, "0")));
}

function secondsText(nanoseconds: bigint): string {
  return `${nanoseconds / 1_000_000_000n}.${String(nanoseconds % 1_000_000_000n).padStart(9, "0")}`;
}
