/** The options of `RUN --mount`, as a table: which type takes which, what they must look like, what they are when not said. */
import { suggestion } from "./suggest.ts";

const TYPES = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
export type MountType = (typeof TYPES)[number];
const SHARING = ["shared", "private", "locked"] as const;

export interface MountOption {
  readonly name: string;
  readonly value?: string | undefined;
}

/** What the options say; undefined for what they do not. */
export interface MountOptions {
  readonly type: MountType;
  readonly from?: string | undefined;
  readonly source?: string | undefined;
  readonly target?: string | undefined;
  readonly readonly?: boolean | undefined;
  readonly required?: boolean | undefined;
  /** Bytes. */
  readonly size?: number | undefined;
  readonly id?: string | undefined;
  readonly sharing?: (typeof SHARING)[number] | undefined;
  readonly env?: string | undefined;
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

type Field = keyof MountOptions;

interface Option {
  readonly field: Field;
  readonly read: (value: string, name: string) => unknown;
  /** May stand without a value. */
  readonly bare?: unknown;
  /** The types that take it; all, when missing. */
  readonly types?: readonly MountType[] | undefined;
  /** What is said when another type has it. */
  readonly misplaced?: ((type: MountType) => string) | undefined;
}

const text = (value: string) => value;
const notAllowed = (name: string) => (type: MountType) => `${name} not allowed for "${type}" type mounts`;
const ownership = (field: "mode" | "uid" | "gid", base: 8 | 10): Option => ({
  field,
  read: (value) => unsigned(value, base) ?? fail(`invalid value ${value} for ${field}`),
  types: ["cache", "secret", "ssh"],
  misplaced: notAllowed(field),
});

const target: Option = { field: "target", read: text };
const source: Option = { field: "source", read: text };
const readOnly: Option = { field: "readonly", read: flag, bare: true };
const writable: Option = { field: "readonly", read: (value, name) => !flag(value, name), bare: false };

const OPTIONS: Readonly<Record<string, Option>> = {
  type: { field: "type", read: readType },
  from: { field: "from", read: text, types: ["bind", "cache", "tmpfs", "ssh"], misplaced: noFrom },
  source,
  src: source,
  target,
  dst: target,
  destination: target,
  readonly: readOnly,
  ro: readOnly,
  readwrite: writable,
  rw: writable,
  required: { field: "required", read: flag, bare: true, types: ["secret", "ssh"] },
  size: { field: "size", read: readSize, types: ["tmpfs"] },
  id: { field: "id", read: text },
  sharing: { field: "sharing", read: readSharing, types: ["cache"], misplaced: badSharing },
  env: { field: "env", read: text, types: ["secret"] },
  mode: ownership("mode", 8),
  uid: ownership("uid", 10),
  gid: ownership("gid", 10),
};

/** Reads all; a later option wins. Throws SyntaxError with BuildKit's text. */
export function readMountOptions(options: readonly MountOption[]): MountOptions {
  const named = options.findLast(({ name }) => name === "type")?.value;
  const type = named === undefined ? "bind" : readType(named);
  const result: Partial<Record<Field, unknown>> = { type };
  for (const option of options) {
    const { field, value } = readOption(option, type);
    result[field] = value;
  }
  const mount = result as unknown as MountOptions;
  checkTogether(mount);
  return mount;
}

/** Whether it is an option at all, and has a value if it needs one. Throws SyntaxError. */
export function checkMountOption({ name, value }: MountOption): void {
  const option = optionOf(name, value);
  if (value === undefined && option.bare === undefined) fail(`invalid field '${name}' must be a key=value pair`);
  if (name === "from" && /\$./.test(value ?? ""))
    fail(`'${name}' doesn't support variable expansion, define alias stage instead`);
}

function optionOf(name: string, value: string | undefined): Option {
  const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
  if (option !== undefined) return option;
  if (value === undefined) fail(`invalid field '${name}' must be a key=value pair`);
  return fail(`unexpected key '${name}' in '${name}=${value}'${suggestion(name, Object.keys(OPTIONS))}`);
}

function readOption({ name, value }: MountOption, type: MountType): { field: Field; value: unknown } {
  const option = optionOf(name, value);
  if (option.types !== undefined && !option.types.includes(type))
    fail(option.misplaced?.(type) ?? `unexpected key '${name}' for mount type '${type}'`);
  return { field: option.field, value: value === undefined ? option.bare : option.read(value, name) };
}

function checkTogether({ type, source: from, target: at, id }: MountOptions): void {
  if (type === "ssh" && from !== undefined) fail("ssh does not support source");
  if (type !== "secret") return;
  if (from === undefined && at === undefined && id === undefined)
    fail("invalid secret mount. one of source, target required");
  if (from !== undefined && id !== undefined) fail("both source and id can't be set");
}

function readType(value: string): MountType {
  const type = TYPES.find((known) => known === value.toLowerCase());
  return type ?? fail(`unsupported mount type "${value}"${suggestion(value, TYPES)}`);
}

function readSharing(value: string): unknown {
  const mode = SHARING.find((known) => known === value.toLowerCase());
  return mode ?? fail(`unsupported sharing value "${value}"${suggestion(value, SHARING)}`);
}

function noFrom(type: MountType): string {
  return `${type} mount should not have a from`;
}

function badSharing(type: MountType): string {
  return type === "secret" ? "secret mount should not define sharing" : `invalid cache sharing set for ${type} mount`;
}

/** As Go's strconv.ParseBool. */
function flag(value: string, name: string): boolean {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(value)) return false;
  return fail(`invalid value for ${name}: ${value}`);
}

/** Undefined for what is no number below 2^32. */
function unsigned(value: string, base: 8 | 10): number | undefined {
  const digits = base === 8 ? /^[0-7]+$/ : /^[0-9]+$/;
  const number = Number.parseInt(value, base);
  return digits.test(value) && number < 2 ** 32 ? number : undefined;
}

const SIZE = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:ib?|b)?$/i;

/** "64m", "1.5GB", "1048576": powers of 1024. */
function readSize(value: string, name: string): number {
  const [, count, unit = ""] = SIZE.exec(value) ?? [];
  if (count === undefined) return fail(`invalid value for ${name}: ${value}`);
  return Math.floor(Number(count) * 1024 ** " kmgtp".indexOf(unit === "" ? " " : unit.toLowerCase()));
}

function fail(message: string): never {
  throw new SyntaxError(message);
}
