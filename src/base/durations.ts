const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 6e10,
  h: 3.6e12,
};
const DURATION = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|\u03bcs|ms|s|m|h))+$/;

/** A duration as Go writes them ("1h30m", "1.5s", "-2m", "0"), in nanoseconds; undefined when the text is none. */
export function parseDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  if (!DURATION.test(text)) return undefined;
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/([\d.]+)(ns|us|µs|\u03bcs|ms|s|m|h)/g))
    sum += Number(count) * (UNITS[unit ?? ""] ?? 0);
  return text.startsWith("-") ? -Math.round(sum) : Math.round(sum);
}
