/** Flags and daemon.json together: one frozen configuration, checked. */
import { EngineError } from "../base/errors.ts";
import type { LogLevel } from "../base/log.ts";
import { readConfigFile } from "./config-file.ts";
import { parseFlags, type Values } from "./flags.ts";
import { OPTIONS } from "./options.ts";
import type { AddressPool, RuntimeEntry, Ulimit } from "./values.ts";

/** What depends on the name the daemon is called by. */
export interface Persona {
  readonly configFile: string;
  readonly host: string;
  readonly group: string;
  /** Undefined: gantry.pid in the exec root. */
  readonly pidfile: string | undefined;
}

const GANTRY: Persona = {
  configFile: "/etc/gantry/daemon.json",
  host: "unix:///run/gantry/gantry.sock",
  group: "gantry",
  pidfile: undefined,
};

const DOCKER: Persona = {
  configFile: "/etc/docker/daemon.json",
  host: "unix:///var/run/docker.sock",
  group: "docker",
  pidfile: "/var/run/docker.pid",
};

export const personaOf = (name: string): Persona => (name === "dockerd" ? DOCKER : GANTRY);

export class Configuration {
  readonly persona: Persona;
  readonly configFile: string;
  readonly #values: Values;

  constructor(persona: Persona, configFile: string, values: Values) {
    this.persona = persona;
    this.configFile = configFile;
    this.#values = values;
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  raw(key: string): unknown {
    return this.#values.get(key);
  }

  /** Undefined when not set or empty. */
  text(key: string): string | undefined {
    const value = this.#values.get(key) as string | undefined;
    return value === "" ? undefined : value;
  }

  flag(key: string): boolean | undefined {
    return this.#values.get(key) as boolean | undefined;
  }

  number(key: string): number | undefined {
    return this.#values.get(key) as number | undefined;
  }

  list(key: string): readonly string[] {
    return (this.#values.get(key) as string[] | undefined) ?? [];
  }

  map(key: string): Readonly<Record<string, string>> {
    return (this.#values.get(key) as Record<string, string> | undefined) ?? {};
  }

  get ulimits(): Readonly<Record<string, Ulimit>> {
    return (this.#values.get("default-ulimits") as Record<string, Ulimit> | undefined) ?? {};
  }

  get runtimes(): Readonly<Record<string, RuntimeEntry>> {
    return (this.#values.get("runtimes") as Record<string, RuntimeEntry> | undefined) ?? {};
  }

  get addressPools(): readonly AddressPool[] {
    return (this.#values.get("default-address-pools") as AddressPool[] | undefined) ?? [];
  }

  /** By driver: option → value. A flag is "driver=option=value". */
  get networkOptions(): Readonly<Record<string, Readonly<Record<string, string>>>> {
    const given = this.#values.get("default-network-opts") ?? {};
    if (!Array.isArray(given)) return given as Record<string, Record<string, string>>;
    const options: Record<string, Record<string, string>> = {};
    for (const text of given as string[]) {
      const [, driver = "", key = "", value = ""] = /^([^=]+)=([^=]+)=(.*)$/s.exec(text) ?? [];
      if (driver === "") throw new EngineError("invalid", `invalid key value pair format in driver options: ${text}`);
      options[driver] = { ...options[driver], [key]: value };
    }
    return options;
  }

  get logLevel(): LogLevel {
    if (this.flag("debug") === true) return "debug";
    return (this.text("log-level") ?? "info") as LogLevel;
  }

  get execRoot(): string {
    return this.text("exec-root") ?? "/run/gantry";
  }

  get hosts(): readonly string[] {
    const hosts = this.list("hosts");
    return hosts.length === 0 ? [this.persona.host] : hosts;
  }

  /** What was set and has no effect, each with why. */
  get idle(): readonly string[] {
    const options = OPTIONS.filter(({ key, idle }) => idle && this.has(key) && this.raw(key) !== false);
    const features = Object.keys(this.map("features")).filter((name) => name !== "cdi");
    return [
      ...options.map(({ key, does }) => `${key}: ${does.replace(/^Nothing: /, "")}`),
      ...features.map((name) => `features.${name}: there is no such feature.`),
    ];
  }
}

/** Throws "invalid" with dockerd's words. */
export function configure(argv: readonly string[], name: string): Configuration {
  return combine(parseFlags(argv, name), personaOf(name));
}

/** The same flags with the file as it is now. */
export function combine(flags: Values, persona: Persona): Configuration {
  const given = flags.get("config-file") as string | undefined;
  const configFile = given ?? persona.configFile;
  const file = readConfigFile(configFile, given !== undefined, flags);
  const values = new Map([...file, ...flags]);
  if (file.has("runtimes"))
    values.set("runtimes", { ...(file.get("runtimes") as object), ...(flags.get("runtimes") as object) });
  const configuration = new Configuration(persona, configFile, values);
  validate(configuration);
  return configuration;
}

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  "log-level": ["trace", "debug", "info", "warn", "error", "fatal", "panic"],
  "log-format": ["text", "json"],
  "default-ipc-mode": ["private", "shareable"],
  "default-cgroupns-mode": ["private", "host"],
  "publish-through": ["forward", "input"],
};

const CHOICE_ERRORS: Readonly<Record<string, (value: string) => string>> = {
  "log-level": (value) => `invalid logging level: ${value}`,
  "log-format": (value) => `invalid log format: ${value}`,
  "default-ipc-mode": (value) => `IPC mode "${value}" is not supported`,
  "default-cgroupns-mode": (value) => `default cgroup namespace mode (${value}) is invalid. Use "host" or "private"`,
};

function validate(configuration: Configuration): void {
  for (const [key, choices] of Object.entries(CHOICES)) {
    const value = configuration.text(key);
    if (value !== undefined && !choices.includes(value))
      throw new EngineError("invalid", CHOICE_ERRORS[key]?.(value) ?? `invalid ${key}: ${value}`);
  }
  for (const { key, refuses } of OPTIONS) {
    const complaint = configuration.has(key) ? refuses?.(configuration.raw(key)) : undefined;
    if (complaint !== undefined)
      throw new EngineError("invalid", `${key}: ${complaint}`, {
        hint: "Leave it out: what it promises is not kept here.",
      });
  }
  for (const key of ["mtu", "max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts"]) {
    const value = configuration.number(key);
    if (value !== undefined && value < 0)
      throw new EngineError("invalid", `invalid ${key.replaceAll("-", " ")}: ${value}`);
  }
  const mark = configuration.text("bridge-accept-fwmark");
  if (mark !== undefined && !/^(0x[0-9a-f]{1,8}|\d{1,10})(\/(0x[0-9a-f]{1,8}|\d{1,10}))?$/i.test(mark))
    throw new EngineError("invalid", `invalid firewall mark ${JSON.stringify(mark)}`);
  for (const label of configuration.list("labels"))
    if (!/^[^=]+=/.test(label)) throw new EngineError("invalid", `bad attribute format: ${label}`);
  if (configuration.text("bridge") !== undefined && configuration.text("bip") !== undefined)
    throw new EngineError("invalid", "You specified -b & --bip, mutually exclusive options. Please specify only one");
  if (configuration.flag("icc") === false && configuration.flag("iptables") === false)
    throw new EngineError(
      "invalid",
      "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or --iptables to true",
    );
}
