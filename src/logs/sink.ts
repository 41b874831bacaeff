/** From a container's log configuration to what the monitor is told; Docker's drivers, options and error texts. */
import { join } from "node:path";
import { EngineError } from "../base/errors.ts";
import { chosenAttributes, tagOf } from "./attributes.ts";
import type { LogConfig, LogSink, LogSubject } from "./logs.ts";
import { bufferSize, checkMode, type LogOptions, ROTATION, rotation } from "./options.ts";

interface Driver {
  /** Options of its own, beside those that every driver takes; undefined: any. */
  readonly options: ReadonlySet<string> | undefined;
  unknown(option: string): string;
  sink(config: LogOptions, folder: string, id: string): LogSink;
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

const DRIVERS: Readonly<Record<string, Driver>> = {
  "json-file": {
    options: new Set(["max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"]),
    unknown: (option) => `unknown log opt '${option}' for json-file log driver`,
    sink: (config, folder, id) => ({
      driver: "json-file",
      path: join(folder, `${id}-json.log`),
      // Who says how large, says how many, as with Docker: one.
      ...rotation(config, config["max-size"] === undefined ? ROTATION : {}),
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
      ...rotation(config, ROTATION),
    }),
  },
  none: { options: undefined, unknown: String, sink: () => ({ driver: "none" }) },
};

export function sinkOf(config: LogConfig, folder: string, id: string): LogSink {
  const driver = driverOf(config);
  const options = config.Config ?? {};
  checkMode(options);
  if (driver.options !== undefined) checkOptions(driver, driver.options, options);
  const buffer = bufferSize(options);
  return Object.freeze({ ...driver.sink(options, folder, id), ...(buffer === undefined ? {} : { buffer }) });
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

function checkOptions(driver: Driver, known: ReadonlySet<string>, options: LogOptions): void {
  for (const option of Object.keys(options))
    if (!known.has(option) && !COMMON_OPTIONS.has(option)) throw new EngineError("invalid", driver.unknown(option));
}
