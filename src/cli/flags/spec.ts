/**
 * Flags as data: parsing, help and completion come from one table per command.
 *
 * A type says how the value is read and what help shows; `list` keeps each value as it is, `strings` splits at commas (CSV),
 * `map` takes key=value.
 */
export type FlagType =
  | "bool"
  | "string"
  | "int"
  | "uint"
  | "uint16"
  | "decimal"
  | "bytes"
  | "duration"
  | "list"
  | "strings"
  | "map"
  | "filter";

export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  readonly type: FlagType;
  readonly help: string;
  /** What the value is called in help; default: from the type. */
  readonly value?: string;
  /** As text, as on the command line; only for single values. */
  readonly default?: string;
  readonly hidden?: boolean;
  /** The value when the flag stands alone (pflag's NoOptDefVal); "true" for bool. */
  readonly bare?: string;
  /** Returns what is wrong with one value, or undefined. */
  readonly check?: (value: string) => string | undefined;
  /** Completion: a fixed set, or a kind of object to ask the daemon for. */
  readonly complete?: readonly string[] | CompletionKind;
}

export type CompletionKind =
  | "containers"
  | "running"
  | "images"
  | "networks"
  | "volumes"
  | "contexts"
  | "files"
  | "folders"
  | "none";

export interface ArgumentsSpec {
  readonly min: number;
  /** Infinity: any number. */
  readonly max: number;
}

/** What the parser made of the words. Reading a flag that the table lacks is a mistake of the program and throws. */
export interface ParsedFlags {
  readonly positional: readonly string[];
  /** Whether the user gave it. */
  changed(name: string): boolean;
  bool(name: string): boolean;
  /** "" when not given and without default. */
  text(name: string): string;
  /** 0 when not given and without default. For int, uint, bytes (bytes), duration (nanoseconds), decimal (billionths). */
  number(name: string): number;
  list(name: string): readonly string[];
  map(name: string): Readonly<Record<string, string>>;
}
