/** `--change` of import and commit: single Dockerfile instructions that alter the run configuration. */
import { posix } from "node:path";
import { parseDuration } from "../base/durations.ts";
import { EngineError } from "../base/errors.ts";
import type { ImageRunConfig } from "../oci/types.ts";
import { expand, splitPairs, splitWords } from "./change-words.ts";

/**
 * The configuration after these instructions, in order. Throws "invalid" for what is no instruction or may not be used here.
 * An ENTRYPOINT drops the CMD from before, unless one of the changes sets it.
 */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  let state: State = { config, commandSet: false };
  for (const line of changes.flatMap(splitLines)) state = applyChange(state, line);
  return state.config;
}

interface State {
  readonly config: ImageRunConfig;
  readonly commandSet: boolean;
}

type Instruction = (config: ImageRunConfig, text: string, commandSet: boolean) => Partial<ImageRunConfig>;

const INSTRUCTIONS: Readonly<Record<string, Instruction>> = {
  CMD: (config, text) => ({ Cmd: command(config, text), ArgsEscaped: undefined }),
  ENTRYPOINT: (config, text, commandSet) => ({
    Entrypoint: command(config, text),
    ...(!commandSet && { Cmd: undefined }),
  }),
  ENV: (config, text) => ({ Env: mergeEnv(config.Env ?? [], pairs("ENV", text, config)) }),
  EXPOSE: (config, text) => ({ ExposedPorts: { ...config.ExposedPorts, ...keys(ports(words(text, config))) } }),
  HEALTHCHECK: (_, text) => ({ Healthcheck: healthcheck(text) }),
  LABEL: (config, text) => ({ Labels: { ...config.Labels, ...Object.fromEntries(pairs("LABEL", text, config)) } }),
  ONBUILD: (config, text) => ({ OnBuild: [...(config.OnBuild ?? []), onBuild(text)] }),
  SHELL: (_, text) => ({ Shell: jsonList(text) ?? fail("SHELL requires the arguments to be in JSON form") }),
  STOPSIGNAL: (config, text) => ({ StopSignal: single("STOPSIGNAL", text, config) }),
  USER: (config, text) => ({ User: single("USER", text, config) }),
  VOLUME: (config, text) => ({ Volumes: { ...config.Volumes, ...keys(volumes(text, config)) } }),
  WORKDIR: (config, text) => ({ WorkingDir: posix.resolve("/", config.WorkingDir ?? "", expand(text, envOf(config))) }),
};

/** A change may hold several lines; a backslash at the end joins two. */
function splitLines(change: string): string[] {
  const lines = change.replace(/\\[ \t]*\r?\n/g, "").split(/\r?\n/);
  return lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
}

function applyChange({ config, commandSet }: State, line: string): State {
  const [, word = "", text = ""] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
  const name = word.toUpperCase();
  const instruction = Object.hasOwn(INSTRUCTIONS, name) ? INSTRUCTIONS[name] : undefined;
  if (instruction === undefined) throw new EngineError("invalid", `${name} is not a valid change command`);
  if (text === "") fail(`${name} requires at least one argument`);
  const changed = { ...config, ...instruction(config, text, commandSet) };
  const present = Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined));
  return { config: present as ImageRunConfig, commandSet: commandSet || name === "CMD" };
}

function fail(message: string): never {
  throw new EngineError("invalid", message);
}

/** The exec form as it is, the shell form in the image's shell. */
function command({ Shell }: ImageRunConfig, text: string): string[] {
  return jsonList(text) ?? [...(Shell ?? ["/bin/sh", "-c"]), text];
}

/** `["a", "b"]`; undefined for everything else. */
function jsonList(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((item) => typeof item === "string") ? list : undefined;
  } catch {
    return undefined;
  }
}

function envOf({ Env }: ImageRunConfig): ReadonlyMap<string, string> {
  return new Map((Env ?? []).map((entry) => cutPair(entry)));
}

function cutPair(entry: string): [string, string] {
  const equals = entry.indexOf("=");
  return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

/** `a=b c="d e"`, or the old `a the rest`. Variables mean what they were before the instruction. */
function pairs(name: string, text: string, config: ImageRunConfig): [string, string][] {
  const env = envOf(config);
  return splitPairs(name, text).map(([key, value]) => {
    const expanded = expand(key, env);
    if (expanded === "") fail(`${name} names can not be blank`);
    return [expanded, expand(value, env)];
  });
}

function mergeEnv(env: readonly string[], added: readonly (readonly [string, string])[]): string[] {
  const merged = [...env];
  for (const [key, value] of added) {
    const at = merged.findIndex((entry) => cutPair(entry)[0] === key);
    if (at < 0) merged.push(`${key}=${value}`);
    else merged[at] = `${key}=${value}`;
  }
  return merged;
}

function words(text: string, config: ImageRunConfig): string[] {
  const env = envOf(config);
  return splitWords(text)
    .map((word) => expand(word, env))
    .filter((word) => word !== "");
}

function single(name: string, text: string, config: ImageRunConfig): string {
  const list = splitWords(text);
  if (list.length !== 1) fail(`${name} requires exactly one argument`);
  return expand(text, envOf(config));
}

function keys(names: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

const PORT = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/;

/** "80", "53/udp", "8000-8010". */
function ports(list: readonly string[]): string[] {
  return list.flatMap((text) => {
    const [, first, last = first, protocol = "tcp"] = PORT.exec(text.toLowerCase()) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === undefined || from > to || to > 65535) fail(`invalid containerPort: ${text}`);
    return Array.from({ length: to - from + 1 }, (_, at) => `${from + at}/${protocol}`);
  });
}

function volumes(text: string, config: ImageRunConfig): string[] {
  const list = (jsonList(text) ?? words(text, config)).map((path) => path.trim());
  if (list.includes("")) fail("VOLUME specified can not be an empty string");
  return list;
}

const FORBIDDEN_TRIGGERS = new Set(["ONBUILD", "FROM", "MAINTAINER"]);

function onBuild(text: string): string {
  const name = /^\S+/.exec(text)?.[0].toUpperCase() ?? "";
  if (name === "ONBUILD") fail("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (FORBIDDEN_TRIGGERS.has(name)) fail(`${name} isn't allowed as an ONBUILD trigger`);
  return text;
}

/** Flags, and the fields they set; durations in nanoseconds. */
const HEALTH_FLAGS: Readonly<Record<string, readonly [field: string, parse: (text: string) => number | undefined]>> = {
  interval: ["Interval", healthDuration],
  timeout: ["Timeout", healthDuration],
  "start-period": ["StartPeriod", healthDuration],
  "start-interval": ["StartInterval", healthDuration],
  retries: ["Retries", (text) => (/^\d+$/.test(text) ? Number(text) : undefined)],
};

function healthDuration(text: string): number | undefined {
  const duration = parseDuration(text);
  return duration === undefined || (duration !== 0 && duration < 1e6) ? undefined : duration;
}

/** "NONE", or flags and "CMD command". */
function healthcheck(text: string): Record<string, unknown> {
  const [, flags = "", kind = "", test = ""] = /^((?:--\S+\s+)*)(\S+)\s*(.*)$/s.exec(text) ?? [];
  const fields = Object.fromEntries(splitWords(flags).map(healthFlag));
  if (kind.toUpperCase() === "NONE") {
    if (test !== "") fail("HEALTHCHECK NONE takes no arguments");
    return { Test: ["NONE"] };
  }
  if (kind.toUpperCase() !== "CMD") fail(`Unknown type "${kind}" in HEALTHCHECK (try CMD)`);
  if (test === "") fail("Missing command after HEALTHCHECK CMD");
  const list = jsonList(test);
  return { Test: list === undefined ? ["CMD-SHELL", test] : ["CMD", ...list], ...fields };
}

function healthFlag(flag: string): [string, number] {
  const [, name = "", value = ""] = /^--([^=]+)=(.*)$/.exec(flag) ?? [];
  const known = Object.hasOwn(HEALTH_FLAGS, name) ? HEALTH_FLAGS[name] : undefined;
  if (known === undefined) fail(`unknown flag: ${flag.replace(/=.*$/, "")}`);
  const parsed = known[1](value);
  if (parsed === undefined) fail(`invalid value for --${name}: ${JSON.stringify(value)}`);
  return [known[0], parsed];
}
