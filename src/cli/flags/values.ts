/** The values of flags as Go's libraries read them, with their wording of errors. */

/** Throws an Error whose message is strconv's. */
export function parseInteger(text: string, { min, max, call }: { min: bigint; max: bigint; call: string }): number {
  const fail = (why: string) => new Error(`strconv.${call}: parsing ${JSON.stringify(text)}: ${why}`);
  const match = /^([+-]?)(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[0-9][0-9_]*)$/.exec(text);
  if (match === null || (call === "ParseUint" && match[1] !== "")) throw fail("invalid syntax");
  const digits = (match[2] ?? "").replaceAll("_", "");
  const magnitude = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  const value = match[1] === "-" ? -magnitude : magnitude;
  if (value < min || value > max) throw fail("value out of range");
  return Number(value);
}

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

export const parseInt64 = (text: string) => parseInteger(text, { ...INT64, call: "ParseInt" });
export const parseUint64 = (text: string) => parseInteger(text, { min: 0n, max: 2n ** 64n - 1n, call: "ParseUint" });
export const parseUint16 = (text: string) => parseInteger(text, { min: 0n, max: 65535n, call: "ParseUint" });

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

export function parseBool(text: string): boolean {
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** A Go duration ("1h30m", "-1.5s") in nanoseconds. */
export function parseDuration(text: string): number {
  const fail = (why: string) => new Error(`time: ${why}duration ${JSON.stringify(text)}`);
  const match = /^([+-]?)(.*)$/s.exec(text);
  let rest = match?.[2] ?? "";
  if (rest === "0") return 0;
  if (rest === "") throw fail("invalid ");
  let total = 0;
  while (rest !== "") {
    const part = /^(\d*)(\.\d*)?([^\d.]*)/.exec(rest);
    const [all = "", whole = "", fraction = "", unit = ""] = part ?? [];
    if (whole === "" && fraction.length < 2) throw fail("invalid ");
    if (unit === "") throw new Error(`time: missing unit in duration ${JSON.stringify(text)}`);
    const scale = UNITS[unit];
    if (scale === undefined)
      throw new Error(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    total +=
      Number(whole === "" ? 0 : whole) * Number(scale) +
      Math.trunc(Number(`0${fraction === "." ? "" : fraction}`) * Number(scale));
    rest = rest.slice(all.length);
  }
  return match?.[1] === "-" ? -total : total;
}

const SIZES: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50 };

/** A size with a binary unit ("512m", "1.5GiB", "64KB") in bytes, as go-units' RAMInBytes. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)*) ?([kKmMgGtTpP])?(?:[iI])?[bB]?$/.exec(text);
  const scale = SIZES[(match?.[2] ?? "").toLowerCase()];
  const value = Number(match?.[1]);
  if (match === null || scale === undefined || Number.isNaN(value) || (/i/i.test(text) && match[2] === undefined))
    throw new Error(`invalid size: '${text}'`);
  return Math.trunc(value * scale);
}

/** A decimal number in billionths ("1.5" → 1500000000). */
export function parseDecimal(text: string): number {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:\/(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null || ((match[2] ?? "") === "" && (match[3] ?? "") === ""))
    throw new Error(`failed to parse ${text} as a rational number`);
  const [, sign = "", whole = "", fraction = "", divisor, exponent] = match;
  const digits = Number(`${whole || "0"}.${fraction || "0"}`) * 10 ** Number(exponent ?? 0);
  const nano = (digits / Number(divisor ?? 1)) * 1e9;
  const rounded = Math.round(nano);
  if (Math.abs(nano - rounded) > 1e-4 || fraction.length > 9) throw new Error("value is too precise");
  return sign === "-" ? -rounded : rounded;
}

/** One line of CSV, as pflag's string slices are read. */
export function parseCsv(text: string): string[] {
  if (text === "") return [];
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = "";
      at++;
      for (;;) {
        const quote = text.indexOf('"', at);
        if (quote < 0)
          throw new Error(`parse error on line 1, column ${text.length + 1}: extraneous or missing " in quoted-field`);
        field += text.slice(at, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        field += '"';
        at++;
      }
      if (at < text.length && text[at] !== ",")
        throw new Error(`parse error on line 1, column ${at}: extraneous or missing " in quoted-field`);
      fields.push(field);
    } else {
      const comma = text.indexOf(",", at);
      const end = comma < 0 ? text.length : comma;
      const field = text.slice(at, end);
      if (field.includes('"'))
        throw new Error(`parse error on line 1, column ${at + field.indexOf('"') + 1}: bare " in non-quoted-field`);
      fields.push(field);
      at = end;
    }
    if (at >= text.length) return fields;
    at++;
    if (at === text.length) return [...fields, ""];
  }
}
