/** Values as Go's fmt prints them, and its printf. Numbers that are whole count as integers. */

import { quote } from "../go-strings.ts";
import { NIL, Spelled } from "./go-values.ts";

/**
 * What templates work on: JSON's values, and functions, which stand for methods. An object is a map unless `structure` marked it.
 */
export type Value = unknown;

/** Field order of objects that are structs in Docker's own types: they print as {a b}, not map[…]. */
const STRUCTURE = Symbol("structure");

/** Marks a struct; fields it lacks print as their zero value. */
export function structure<T extends object>(value: T, fields: readonly (readonly [name: string, zero: Value])[]): T {
  Object.defineProperty(value, STRUCTURE, { value: fields, enumerable: false });
  return value;
}

export function structureOf(value: Value): readonly (readonly [string, Value])[] | undefined {
  return typeof value === "object" && value !== null
    ? (value as { [STRUCTURE]?: readonly (readonly [string, Value])[] })[STRUCTURE]
    : undefined;
}

/** %v. */
export function goText(value: Value): string {
  if (value === null || value === undefined || value === NIL) return "<nil>";
  if (value instanceof Spelled) return value.text;
  if (typeof value === "string") return value;
  if (typeof value === "number") return goNumber(value);
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(goText).join(" ")}]`;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "object") {
    const fields = structureOf(value);
    const record = value as Record<string, Value>;
    if (fields !== undefined) return `{${fields.map(([name, zero]) => goText(record[name] ?? zero)).join(" ")}}`;
    return `map[${sortedKeys(record)
      .map((key) => `${key}:${goText(record[key])}`)
      .join(" ")}]`;
  }
  return String(value);
}

/** Keys as Go sorts strings: by their bytes. */
export function sortedKeys(record: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(record).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function goNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 63) return String(BigInt(value));
  return goFloat(value);
}

/** %g with Go's exponent bounds: below 1e-4 and from 1e21. */
function goFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e21)) return goExponent(value.toExponential());
  return String(value);
}

const goExponent = (text: string) => text.replace(/e([+-])(\d)$/, "e$10$2");

export function typeName(value: Value): string {
  if (value === null || value === undefined) return "<nil>";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  if (Array.isArray(value))
    return value.every((one) => typeof one === "string") && value.length > 0 ? "[]string" : "[]interface {}";
  return "map[string]interface {}";
}

interface Verb {
  readonly flags: string;
  readonly width: number | undefined;
  readonly precision: number | undefined;
  readonly verb: string;
}

export function sprintf(format: string, values: readonly Value[]): string {
  let next = 0;
  const take = (): Value => values[next++];
  const text = format.replace(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?(.|$)/gsu,
    (all: string, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      if (verb === "") return "%!(NOVERB)";
      const number = (part: string | undefined) =>
        part === "*" ? Number(take()) : part === undefined ? undefined : Number(part);
      const wide = number(width);
      const exact = number(precision) ?? (/\./.test(all) ? 0 : undefined);
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const spec = {
        flags: wide !== undefined && wide < 0 ? `${flags}-` : flags,
        width: wide === undefined ? undefined : Math.abs(wide),
        precision: exact,
        verb,
      };
      return pad(formatVerb(spec, take()), spec);
    },
  );
  if (next >= values.length) return text;
  const extra = values
    .slice(next)
    .map((value) => (value === null || value === undefined ? "<nil>" : `${typeName(value)}=${goText(value)}`));
  return `${text}%!(EXTRA ${extra.join(", ")})`;
}

function pad(text: string, { flags, width, verb }: Verb): string {
  const missing = (width ?? 0) - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  if (!flags.includes("0") || verb === "q") return " ".repeat(missing) + text;
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

function formatVerb(spec: Verb, value: Value): string {
  const { verb, flags, precision } = spec;
  const bad = () =>
    value === null || value === undefined ? `%!${verb}(<nil>)` : `%!${verb}(${typeName(value)}=${goText(value)})`;
  if (verb === "v") return flags.includes("#") ? goSyntax(value) : signed(goText(value), value, flags);
  if (verb === "T") return typeName(value);
  if (verb === "t") return typeof value === "boolean" ? String(value) : bad();
  if (Array.isArray(value)) return `[${value.map((one) => formatVerb(spec, one)).join(" ")}]`;
  if (typeof value === "string") return formatString(value, spec) ?? bad();
  if (typeof value === "number") return formatNumber(value, spec) ?? bad();
  if (verb === "s" && typeof value === "object" && value !== null) {
    const record = value as Record<string, Value>;
    return `map[${sortedKeys(record)
      .map((key) => `${key}:${formatVerb({ ...spec, precision }, record[key])}`)
      .join(" ")}]`;
  }
  return bad();
}

function signed(text: string, value: Value, flags: string): string {
  return flags.includes("+") && typeof value === "number" && value >= 0 ? `+${text}` : text;
}

function formatString(value: string, { verb, precision, flags }: Verb): string | undefined {
  const cut = precision === undefined ? value : [...value].slice(0, precision).join("");
  const bytes = Buffer.from(cut);
  switch (verb) {
    case "s":
      return cut;
    case "q":
      return flags.includes("#") && !cut.includes("`") ? `\`${cut}\`` : quote(cut);
    case "x":
      return bytes.toString("hex");
    case "X":
      return bytes.toString("hex").toUpperCase();
    default:
      return undefined;
  }
}

const BASES: Readonly<Record<string, number>> = { d: 10, b: 2, o: 8, x: 16, X: 16 };

function formatNumber(value: number, { verb, precision, flags }: Verb): string | undefined {
  const sign = flags.includes("+") && value >= 0 ? "+" : flags.includes(" ") && value >= 0 ? " " : "";
  const base = BASES[verb];
  if (base !== undefined && Number.isInteger(value)) {
    const digits = Math.abs(value).toString(base);
    const text =
      (value < 0 ? "-" : sign) +
      (flags.includes("#") && base === 16 ? "0x" : "") +
      digits.padStart(precision ?? 0, "0");
    return verb === "X" ? text.toUpperCase() : text;
  }
  if (Number.isInteger(value)) {
    if (verb === "c") return String.fromCodePoint(value);
    if (verb === "q") return `'${String.fromCodePoint(value)}'`;
    if (verb === "U") return `U+${value.toString(16).toUpperCase().padStart(4, "0")}`;
    return undefined;
  }
  if (verb === "f" || verb === "F") return sign + value.toFixed(precision ?? 6);
  if (verb === "e") return sign + goExponent(value.toExponential(precision ?? 6));
  if (verb === "g")
    return sign + (precision === undefined ? goFloat(value) : goFloat(Number(value.toPrecision(precision || 1))));
  return undefined;
}

function goSyntax(value: Value): string {
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return `${typeName(value)}{${value.map(goSyntax).join(", ")}}`;
  if (typeof value === "object" && value !== null) {
    const record = value as Record<string, Value>;
    return `${typeName(value)}{${sortedKeys(record)
      .map((key) => `${quote(key)}:${goSyntax(record[key])}`)
      .join(", ")}}`;
  }
  return goText(value);
}
