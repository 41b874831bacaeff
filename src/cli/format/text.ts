/** Small words of tables. */
import { shortId } from "../../base/ids.ts";

/** As long as the table allows, with an ellipsis. */
export function ellipsis(text: string, length: number): string {
  const chars = [...text];
  return chars.length <= length ? text : `${chars.slice(0, length - 1).join("")}…`;
}

export function idText(id: string, whole: boolean): string {
  return whole ? id : shortId(id);
}

/** "k=v,k=v" by key. */
export function labelsText(labels: Readonly<Record<string, string>> | null | undefined): string {
  return Object.entries(labels ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

const pad = (value: number) => String(value).padStart(2, "0");

/** A time as Go prints it, in this machine's zone: "2026-01-02 03:04:05 +0000 UTC". `fraction`: digits as they came. */
export function localTime(date: Date, fraction = ""): string {
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${day} ${clock}${fraction} ${offset(date).replace(":", "")} ${zoneName(date)}`;
}

/** An RFC 3339 time as Go prints it, in its own zone: "2026-01-02 03:04:05.5 +0000 UTC". */
export function goTime(text: string): string {
  const match = /^(\S+)T([\d:]+)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return text;
  const [, day, clock, fraction = "", zone = "Z"] = match;
  const shown = zone === "Z" ? "+0000 UTC" : `${zone.replace(":", "")} ${zone.replace(":", "")}`;
  return `${day} ${clock}${fraction} ${shown}`;
}

/** As RFC 3339 in this machine's zone: "2026-01-02T03:04:05Z". */
export function localRfc3339(date: Date, fraction = ""): string {
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  const zone = date.getTimezoneOffset() === 0 ? "Z" : offset(date);
  return `${day}T${clock}${fraction}${zone}`;
}

function offset(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

function zoneName(date: Date): string {
  const part = date.toLocaleTimeString("en-US", { timeZoneName: "short" }).split(" ").at(-1);
  return part ?? "UTC";
}
