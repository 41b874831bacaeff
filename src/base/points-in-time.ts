/** Points in time as filters name them ("until"). */
import { parseDuration } from "./durations.ts";
import { EngineError } from "./errors.ts";

/** Milliseconds since the epoch of a Unix time ("1136073600.5"), a date, or a duration before `now` ("1h30m"). "invalid" otherwise. */
export function parsePointInTime(text: string, now: number): number {
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const duration = parseDuration(text);
  if (duration !== undefined) return now - duration / 1e6;
  const time = /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2})?)?$/.test(text)
    ? Date.parse(padHour(text))
    : Number.NaN;
  if (Number.isNaN(time))
    throw new EngineError("invalid", `failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return time;
}

/** "2006-01-02" and times without a zone are local; "2006-01-02T15" has no minutes. */
function padHour(text: string): string {
  if (!text.includes("T")) return `${text}T00:00:00`;
  return text.replace(/T(\d{2})(?=Z|[+-]|$)/, "T$1:00");
}
