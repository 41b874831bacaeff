/** The values of log options, with Docker's error texts. */
import { parseDuration } from "../base/durations.ts";
import { EngineError } from "../base/errors.ts";

export type LogOptions = Readonly<Record<string, string>>;

/** How a log is kept small. */
export interface Rotation {
  /** Bytes; undefined: without end. */
  readonly maxSize?: number;
  readonly maxFiles?: number;
  readonly compress?: boolean;
}

/** Docker's for `local`; for json-file it has none, and so fills disks. */
export const ROTATION: Rotation = { maxSize: 20_000_000, maxFiles: 5, compress: true };

const BUFFER = 1 << 20;

/** Throws "invalid" for a mode that there is not, or a buffer in a mode that has none. */
export function checkMode({ mode = "", "max-buffer-size": buffer }: LogOptions): void {
  if (!["", "blocking", "non-blocking"].includes(mode))
    throw new EngineError("invalid", `logger: logging mode not supported: ${mode}`);
  if (buffer !== undefined && mode !== "non-blocking")
    throw new EngineError("invalid", "logger: max-buffer-size option is only supported with 'mode=non-blocking'");
}

/** Bytes of the buffer of mode=non-blocking; undefined in the other one. Unlike a file's size it is binary: "4m" is 4 MiB. */
export function bufferSize({ mode, "max-buffer-size": text = "" }: LogOptions): number | undefined {
  if (mode !== "non-blocking") return undefined;
  return text === "" ? BUFFER : parseSize("max-buffer-size", text, 1024);
}

/** The options max-size, max-file and compress, for a driver with these defaults. */
export function rotation(options: LogOptions, defaults: Rotation): Rotation {
  const { "max-size": size, "max-file": files, compress } = options;
  const maxSize = size === "-1" ? undefined : size === undefined ? defaults.maxSize : parseSize("max-size", size, 1000);
  const maxFiles = files === undefined ? (defaults.maxFiles ?? 1) : parseFiles(files);
  const explicit = compress === undefined ? undefined : parseBoolean("compress", compress);
  if (explicit === true && (maxFiles < 2 || maxSize === undefined))
    throw new EngineError("invalid", "compress cannot be true when max-file is less than 2 or max-size is not set");
  return {
    ...(maxSize !== undefined && { maxSize }),
    maxFiles,
    compress: (explicit ?? defaults.compress ?? false) && maxFiles > 1,
  };
}

const UNITS = "kmgtp";

/** Docker's log sizes are decimal: "10m" is 10,000,000 bytes. */
function parseSize(option: string, text: string, unit: number): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])?i?b?)$/i.exec(text);
  if (match === null) throw new EngineError("invalid", `invalid size: '${text}'`);
  const exponent = match[2] === undefined ? 0 : UNITS.indexOf(match[2].toLowerCase()) + 1;
  const size = Math.floor(Number(match[1]) * unit ** exponent);
  if (size <= 0 || !Number.isSafeInteger(size)) throw new EngineError("invalid", `${option} must be a positive number`);
  return size;
}

function parseFiles(text: string): number {
  if (!/^[+-]?\d{1,9}$/.test(text)) throw new EngineError("invalid", `invalid value for max-file: "${text}"`);
  if (Number(text) < 1) throw new EngineError("invalid", "max-file cannot be less than 1");
  return Number(text);
}

export function parseBoolean(option: string, text: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  throw new EngineError("invalid", `invalid value for ${option}: "${text}"`);
}

/** Milliseconds of an option like "500ms"; undefined when it is not given. Throws "invalid". */
export function parseDurationOption(options: LogOptions, name: string): number | undefined {
  const text = options[name];
  if (text === undefined || text === "") return undefined;
  const nanoseconds = parseDuration(text);
  if (nanoseconds === undefined || nanoseconds < 0)
    throw new EngineError("invalid", `invalid value for ${name}: "${text}"`);
  return nanoseconds / 1e6;
}

/** Undefined when it is not given. Throws "invalid". */
export function parseInteger(options: LogOptions, name: string): number | undefined {
  const text = options[name];
  if (text === undefined || text === "") return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new EngineError("invalid", `invalid value for ${name}: "${text}"`);
  return Number(text);
}
