/** Times as the API shows them: RFC 3339 in UTC with up to nine digits of a second. */

/** What Go writes for a time that never was. */
export const ZERO_TIME = "0001-01-01T00:00:00Z";

/** Now, to the nanosecond as far as the clock goes. */
export function timestamp(): string {
  const now = BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n);
  return timestampOf(now);
}

/** Nanoseconds since the epoch to RFC 3339; trailing zeros of the fraction are left out, as Go does. */
export function timestampOf(nanoseconds: bigint): string {
  const seconds = Number(nanoseconds / 1_000_000_000n);
  const fraction = String(nanoseconds % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return fraction === "" ? `${whole}Z` : `${whole}.${fraction}Z`;
}

/** Nanoseconds since the epoch of a time as `timestampOf` writes it: exact, for comparing. */
export function nanosecondsOf(time: string): bigint {
  const [, whole = "", fraction = ""] = /^([^.Z]*)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return BigInt(Date.parse(`${whole}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** Milliseconds since the epoch; 0 for the zero time and for what is no time. */
export function millisecondsOf(time: string): number {
  if (time === ZERO_TIME) return 0;
  return Date.parse(time) || 0;
}
