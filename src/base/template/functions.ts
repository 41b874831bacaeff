/** Go's predeclared template functions and Docker's additions. `and` and `or` are the evaluator's, which short-circuits them. */
import { NIL, Spelled, traitsOf } from "./go-values.ts";
import { goJson } from "./json.ts";
import { goText, sprintf, structureOf, typeName, type Value } from "./print.ts";

export type TemplateFunction = (...args: Value[]) => Value;

export function isTrue(value: Value): boolean {
  if (value === null || value === undefined || value === NIL) return false;
  if (value instanceof Spelled) return value.json !== 0;
  if (value === false || value === 0 || value === "") return false;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && structureOf(value) === undefined) return Object.keys(value).length > 0;
  return true;
}

/** Operands with a space between two of which neither is a string, as fmt.Sprint. */
function sprint(args: readonly Value[]): string {
  let text = "";
  args.forEach((arg, index) => {
    if (index > 0 && typeof arg !== "string" && typeof args[index - 1] !== "string") text += " ";
    text += goText(arg);
  });
  return text;
}

function order(a: Value, b: Value): number {
  if (typeof a !== typeof b || (typeof a !== "number" && typeof a !== "string"))
    throw new Error(
      typeof a === "object" || typeof b === "object" || typeof a === "boolean"
        ? "invalid type for comparison"
        : "incompatible types for comparison",
    );
  if (typeof a === "number") return a - (b as number);
  return Buffer.compare(Buffer.from(a as string), Buffer.from(b as string));
}

function equal(a: Value, b: Value): boolean {
  const nil = (value: Value) => value === null || value === undefined || value === NIL;
  if (nil(a) || nil(b)) return nil(a) && nil(b);
  if (typeof a === "object" || typeof b === "object") throw new Error("non-comparable type");
  if (typeof a !== typeof b) throw new Error("incompatible types for comparison");
  return a === b;
}

function index(item: Value, ...keys: Value[]): Value {
  let value = item;
  for (const key of keys) {
    if (value === null || value === undefined) throw new Error("index of untyped nil");
    if (Array.isArray(value) || typeof value === "string") {
      if (typeof key !== "number") throw new Error(`cannot index slice/array with type ${typeName(key)}`);
      if (key < 0 || key >= value.length) throw new Error(`index out of range: ${key}`);
      value = typeof value === "string" ? Buffer.from(value)[key] : value[key];
    } else if (typeof value === "object") {
      if (typeof key !== "string") throw new Error(`value has type ${typeName(key)}; should be string`);
      value = Object.hasOwn(value, key) ? (value as Record<string, Value>)[key] : traitsOf(value).element;
    } else throw new Error(`can't index item of type ${typeName(value)}`);
  }
  return value;
}

function slice(item: Value, ...bounds: Value[]): Value {
  if (!Array.isArray(item) && typeof item !== "string") throw new Error(`can't slice item of type ${typeName(item)}`);
  const [from = 0, to = item.length] = bounds as number[];
  for (const bound of [from, to]) {
    if (typeof bound !== "number") throw new Error(`cannot index slice/array with type ${typeName(bound)}`);
    if (bound < 0 || bound > item.length) throw new Error(`index out of range: ${bound}`);
  }
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`);
  return item.slice(from, to);
}

const HTML: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
  "\0": "\uFFFD",
};
const JS: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "'": "\\'",
  '"': '\\"',
  "<": "\\u003C",
  ">": "\\u003E",
  "&": "\\u0026",
  "=": "\\u003D",
};

function js(text: string): string {
  return text.replace(
    /[\\'"<>&=\u0000-\u001f\u007f]/g,
    (char) => JS[char] ?? `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`,
  );
}

function urlquery(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

function len(value: Value): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === "object" && value !== null) return Object.keys(value).length;
  throw new Error(value === null || value === undefined ? "len of nil pointer" : `len of type ${typeName(value)}`);
}

const text = (value: Value): string => {
  if (typeof value === "string") return value;
  throw new Error(`wrong type for value; expected string; got ${typeName(value)}`);
};

export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  not: (value) => !isTrue(value),
  len,
  index,
  slice,
  print: (...args) => sprint(args),
  println: (...args) => `${args.map(goText).join(" ")}\n`,
  printf: (format, ...args) => sprintf(text(format), args),
  html: (...args) => sprint(args).replace(/[&<>"'\0]/g, (char) => HTML[char] ?? char),
  js: (...args) => js(sprint(args)),
  urlquery: (...args) => urlquery(sprint(args)),
  call: (fn, ...args) => {
    if (typeof fn !== "function") throw new Error(`non-function of type ${typeName(fn)}`);
    return (fn as TemplateFunction)(...args);
  },
  eq: (first, ...rest) => {
    if (rest.length === 0) throw new Error("missing argument for comparison");
    return rest.some((one) => equal(first, one));
  },
  ne: (a, b) => !equal(a, b),
  lt: (a, b) => order(a, b) < 0,
  le: (a, b) => order(a, b) <= 0,
  gt: (a, b) => order(a, b) > 0,
  ge: (a, b) => order(a, b) >= 0,
  json: (value) => goJson(value),
  split: (value, separator) => text(value).split(text(separator)),
  join: (values, separator) => (Array.isArray(values) ? values.map(goText).join(text(separator)) : text(values)),
  title: (value) =>
    text(value).replace(
      /(^|[^\p{L}\p{Nd}_])(\p{L})/gu,
      (_, before: string, letter: string) => before + letter.toUpperCase(),
    ),
  lower: (value) => text(value).toLowerCase(),
  upper: (value) => text(value).toUpperCase(),
  pad: (value, before, after) =>
    text(value) === "" ? "" : " ".repeat(before as number) + text(value) + " ".repeat(after as number),
  truncate: (value, length) => text(value).slice(0, length as number),
};

export const FUNCTION_NAMES: ReadonlySet<string> = new Set([...Object.keys(FUNCTIONS), "and", "or"]);
