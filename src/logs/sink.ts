/** From a container's log configuration to what the monitor is told; Docker's drivers, options and error texts. */
import { join } from "node:path";
import { EngineError } from "../base/errors.ts";
import { chosenAttributes, tagOf } from "./attributes.ts";
import type { LogConfig, LogSink, LogSubject } from "./logs.ts";

type Config = Readonly<Record<string, string>>;

interface Driver {
  /** Options of its own, beside those that every driver takes; undefined: any. */
  readonly options: ReadonlySet<string> | undefined;
  unknown(option: string): string;
  sink(config: Config, folder: string, id: string): LogSink;
  /** Undefined: its lines carry none. */
  readonly attributes?: (config: LogConfig, subject: LogSubject) => Record<string, string>;
}

const COMMON_OPTIONS = new Set([
  "mode",
  "max-buffer-size",
  "cache-disabled",
  "cache-max-size",
  "cache-max-file",
  "cache-compress",
]);

/** Docker's for `local`; for json-file it has none, and so fills disks. */
const MAX_SIZE = 20_000_000;
const MAX_FILES = 5;

const DRIVERS: Readonly<Record<string, Driver>> = {
  "json-file": {
    options: new Set(["max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"]),
    unknown: (option) => `unknown log opt '${option}' for json-file log driver`,
    sink: (config, folder, id) => ({
      driver: "json-file",
      path: join(folder, `${id}-json.log`),
      // Who says how large, says how many, as with Docker: one.
      ...rotation(config, config["max-size"] === undefined ? DEFAULTS : {}),
    }),
    attributes: (config, subject) => {
      // Only where it was asked for.
      const tag = tagOf(config.Config?.tag ?? "", subject);
      return { ...chosenAttributes(config, subject), ...(tag === "" ? {} : { tag }) };
    },
  },
  local: {
    options: new Set(["max-file", "max-size", "compress"]),
    unknown: (option) => `unknown log opt "${option}" for log driver local`,
    sink: (config, folder) => ({
      driver: "local",
      path: join(folder, "container.log"),
      ...rotation(config, DEFAULTS),
    }),
  },
  none: { options: undefined, unknown: String, sink: () => ({ driver: "none" }) },
};

export function sinkOf(config: LogConfig, folder: string, id: string): LogSink {
  const driver = driverOf(config);
  const options = config.Config ?? {};
  if (driver.options !== undefined) checkOptions(driver, driver.options, options);
  return Object.freeze(driver.sink(options, folder, id));
}

export function sinkOfRun(config: LogConfig, folder: string, subject: LogSubject): LogSink {
  const entries = Object.entries(driverOf(config).attributes?.(config, subject) ?? {});
  const sink = sinkOf(config, folder, subject.id);
  if (entries.length === 0) return sink;
  const attributes = Object.freeze(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
  return Object.freeze({ ...sink, attributes });
}

function driverOf({ Type }: LogConfig): Driver {
  const name = Type || "json-file";
  const driver = Object.hasOwn(DRIVERS, name) ? DRIVERS[name] : undefined;
  if (driver === undefined) throw new EngineError("invalid", `logger: no log driver named '${name}' is registered`);
  return driver;
}

function checkOptions(driver: Driver, known: ReadonlySet<string>, options: Config): void {
  const { mode = "", "max-buffer-size": bufferSize } = options;
  if (!["", "blocking", "non-blocking"].includes(mode))
    throw new EngineError("invalid", `logger: logging mode not supported: ${mode}`);
  if (bufferSize !== undefined && mode !== "non-blocking")
    throw new EngineError("invalid", "logger: max-buffer-size option is only supported with 'mode=non-blocking'");
  for (const option of Object.keys(options))
    if (!known.has(option) && !COMMON_OPTIONS.has(option)) throw new EngineError("invalid", driver.unknown(option));
}

interface Rotation {
  readonly maxSize?: number;
  readonly maxFiles?: number;
  readonly compress?: boolean;
}

const DEFAULTS: Rotation = { maxSize: MAX_SIZE, maxFiles: MAX_FILES, compress: true };

function rotation(config: Config, defaults: Rotation): Rotation {
  const { "max-size": size, "max-file": files, compress } = config;
  const maxSize = size === "-1" ? undefined : size === undefined ? defaults.maxSize : parseSize(size);
  const maxFiles = files === undefined ? (defaults.maxFiles ?? 1) : parseFiles(files);
  const explicit = compress === undefined ? undefined : parseBoolean(compress);
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
function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])?i?b?)$/i.exec(text);
  if (match === null) throw new EngineError("invalid", `invalid size: '${text}'`);
  const exponent = match[2] === undefined ? 0 : UNITS.indexOf(match[2].toLowerCase()) + 1;
  const size = Math.floor(Number(match[1]) * 1000 ** exponent);
  if (size <= 0 || !Number.isSafeInteger(size)) throw new EngineError("invalid", "max-size must be a positive number");
  return size;
}

function parseFiles(text: string): number {
  if (!/^[+-]?\d{1,9}$/.test(text)) throw new EngineError("invalid", `invalid value for max-file: "${text}"`);
  if (Number(text) < 1) throw new EngineError("invalid", "max-file cannot be less than 1");
  return Number(text);
}

function parseBoolean(text: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  throw new EngineError("invalid", `invalid value for compress: "${text}"`);
}
