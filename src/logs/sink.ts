/** From a container's log configuration to what the monitor is told; Docker's drivers, options and error texts. */
import { join } from "node:path";
import { EngineError } from "../base/errors.ts";
import { chosenAttributes, tagOf } from "./attributes.ts";
import { LOG_DRIVERS, type LogDriver, VENDOR_DRIVERS } from "./drivers.ts";
import { fluentd } from "./forward/fluentd.ts";
import type { Destination } from "./forward/forwarder.ts";
import { gelf } from "./forward/gelf.ts";
import { journald } from "./forward/journald.ts";
import type { Service } from "./forward/service.ts";
import { syslog } from "./forward/syslog.ts";
import type { LogConfig, LogSink, LogSubject } from "./logs.ts";
import { bufferSize, checkMode, type LogOptions, parseBoolean, ROTATION, rotation } from "./options.ts";

interface Driver {
  /** Options of its own, beside those that every driver takes; undefined: any. */
  readonly options: ReadonlySet<string> | undefined;
  unknown(option: string): string;
  sink(config: LogOptions, folder: string, id: string): LogSink;
  /** Undefined: its lines carry none. */
  readonly attributes?: (config: LogConfig, subject: LogSubject) => Record<string, string>;
  /** Where its lines go besides. */
  readonly service?: Service;
}

/** What chooses labels and variables, and names the lines. */
const CHOICE = ["labels", "labels-regex", "env", "env-regex", "tag"];
const DEFAULT_TAG = "{{.ID}}";

const COMMON_OPTIONS = new Set([
  "mode",
  "max-buffer-size",
  "cache-disabled",
  "cache-max-size",
  "cache-max-file",
  "cache-compress",
]);

const DRIVERS: Readonly<Record<LogDriver, Driver>> = {
  "json-file": {
    options: new Set(["max-file", "max-size", "compress", ...CHOICE]),
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
  journald: served("journald", journald),
  syslog: served("syslog", syslog),
  fluentd: served("fluentd", fluentd),
  gelf: served("gelf", gelf),
};

/** Options of that log, and what they are called for others. */
const CACHE: Readonly<Record<string, string>> = {
  "cache-max-size": "max-size",
  "cache-max-file": "max-file",
  "cache-compress": "compress",
};

/** A driver that keeps a log on the disk, and a service that is fed from it. */
function served(name: LogDriver, service: Service): Driver {
  return {
    service,
    options: new Set([...CHOICE, ...service.options]),
    unknown: (option) => `unknown log opt '${option}' for ${name} log driver`,
    sink(options, folder) {
      service.destination(options, undefined);
      const cache = Object.entries(options).flatMap(([option, value]) =>
        Object.hasOwn(CACHE, option) ? [[CACHE[option] ?? option, value]] : [],
      );
      return {
        driver: name,
        path: join(folder, "container-cached.log"),
        ...rotation(Object.fromEntries(cache), ROTATION),
        ...(isTrue(options["cache-disabled"]) ? { unreadable: true } : {}),
      };
    },
  };
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && parseBoolean("cache-disabled", text);
}

export function sinkOf(config: LogConfig, folder: string, id: string): LogSink {
  const driver = driverOf(config);
  const options = config.Config ?? {};
  checkMode(options);
  if (driver.options !== undefined) checkOptions(driver, driver.options, options);
  const buffer = bufferSize(options);
  return Object.freeze({ ...driver.sink(options, folder, id), ...(buffer === undefined ? {} : { buffer }) });
}

export function sinkOfRun(config: LogConfig, folder: string, subject: LogSubject): LogSink {
  driverOf(config).service?.check?.();
  destinationOf(config, subject, "");
  const entries = Object.entries(driverOf(config).attributes?.(config, subject) ?? {});
  const sink = sinkOf(config, folder, subject.id);
  if (entries.length === 0) return sink;
  const attributes = Object.freeze(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
  return Object.freeze({ ...sink, attributes });
}

/** Undefined for a driver without a service. Throws "invalid". */
export function destinationOf(config: LogConfig, subject: LogSubject, hostname: string): Destination | undefined {
  const options = config.Config ?? {};
  return driverOf(config).service?.destination(options, {
    subject,
    hostname,
    tag: tagOf(options.tag || DEFAULT_TAG, subject),
    attributes: chosenAttributes(config, subject),
  });
}

function driverOf({ Type }: LogConfig): Driver {
  const name = Type || "json-file";
  const driver = Object.hasOwn(DRIVERS, name) ? DRIVERS[name as LogDriver] : undefined;
  if (driver !== undefined) return driver;
  const instead = Object.hasOwn(VENDOR_DRIVERS, name) ? VENDOR_DRIVERS[name] : undefined;
  throw new EngineError("invalid", `logger: no log driver named '${name}' is registered`, {
    hint: instead === undefined ? `There are ${LOG_DRIVERS.join(", ")}.` : `Use ${instead}.`,
  });
}

function checkOptions(driver: Driver, known: ReadonlySet<string>, options: LogOptions): void {
  for (const option of Object.keys(options))
    if (!known.has(option) && !COMMON_OPTIONS.has(option)) throw new EngineError("invalid", driver.unknown(option));
}
