/** What `ps` and `container prune` filter by: each filter a function in a table; the values of one filter are alternatives. */

import { parseDuration } from "../base/durations.ts";
import { EngineError, errorKind } from "../base/errors.ts";
import type { Container } from "./container.ts";
import type { Filters } from "./containers.ts";
import type { Context } from "./context.ts";

type Passes = (container: Container) => boolean;
type Maker = (context: Context, values: readonly string[]) => Passes;

const STATUSES = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];
const HEALTH = ["starting", "healthy", "unhealthy", "none"];

const FILTERS: Readonly<Record<string, Maker>> = {
  id:
    (_, values) =>
    ({ id }) =>
      values.some((value) => id.startsWith(value) || matchesPattern(id, value)),
  name:
    (_, values) =>
    ({ name }) =>
      values.some((value) => matchesPattern(name, value) || matchesPattern(`/${name}`, value)),
  label: (_, values) => (container) => values.every((value) => hasLabel(container, value)),
  exited: (_, values) => {
    const codes = values.map(exitCode);
    return ({ state }) => state.status !== "running" && codes.includes(state.exitCode) && state.finishedAt > "0002";
  },
  status: (_, values) => {
    for (const value of values)
      if (!STATUSES.includes(value)) throw new EngineError("invalid", `invalid filter 'status=${value}'`);
    return ({ state }) => values.includes(state.status);
  },
  ancestor: ({ images }, values) => {
    const ids = new Set(values.flatMap((value) => imageId(images, value)));
    return ({ imageId: id, definition }) => ids.has(id) || values.includes(definition.config.Image ?? "");
  },
  before: ({ registry }, values) => {
    const others = values.map((value) => registry.get(value));
    return (container) => others.every((other) => container.createdAt < other.createdAt);
  },
  since: ({ registry }, values) => {
    const others = values.map((value) => registry.get(value));
    return (container) => others.every((other) => container.createdAt > other.createdAt);
  },
  volume:
    (_, values) =>
    ({ definition }) =>
      definition.mounts.some(({ name, destination }) => values.includes(name ?? "") || values.includes(destination)),
  network: ({ networks }, values) => {
    const names = new Set(values.flatMap((value) => networkNames(networks, value)));
    return ({ definition }) => Object.keys(definition.endpoints).some((name) => names.has(name));
  },
  publish: (_, values) => portFilter(values, ({ definition }) => Object.keys(definition.hostConfig.PortBindings ?? {})),
  expose: (_, values) => portFilter(values, ({ definition }) => Object.keys(definition.config.ExposedPorts ?? {})),
  health: (_, values) => {
    for (const value of values)
      if (!HEALTH.includes(value)) throw new EngineError("invalid", `invalid filter 'health=${value}'`);
    return ({ state }) => values.includes(state.health?.Status || "none");
  },
  "is-task": (_, values) => () => values.every((value) => value === "false" || value === "0"),
  isolation: () => () => true,
};

/** Throws "invalid" for a value that makes no sense, "not-found" for an unknown container in before or since. */
export function listFilter(context: Context, filters: Filters): Passes {
  const tests = Object.entries(filters)
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => {
      const make = FILTERS[name];
      if (make === undefined) throw new EngineError("invalid", `invalid filter '${name}'`);
      return make(context, values);
    });
  return (container) => tests.every((passes) => passes(container));
}

/** Filters that look at ended containers want them listed without `--all`. */
export function impliesAll(filters: Filters): boolean {
  return (filters.status?.length ?? 0) > 0 || (filters.exited?.length ?? 0) > 0;
}

export function pruneFilter(filters: Filters): Passes {
  const until = filters.until?.[0];
  const before = until === undefined ? undefined : new Date(untilTime(until)).toISOString();
  return (container) =>
    (before === undefined || container.createdAt < before) &&
    (filters.label ?? []).every((label) => hasLabel(container, label)) &&
    !(filters["label!"] ?? []).some((label) => hasLabel(container, label));
}

/** A time, seconds since the epoch, or a duration back from now; milliseconds since the epoch. */
function untilTime(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const time = Date.parse(text);
  return Number.isNaN(time) ? Date.now() - Number(parseDuration(text)) / 1e6 : time;
}

function matchesPattern(text: string, pattern: string): boolean {
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return text.includes(pattern);
  }
}

function hasLabel({ definition }: Container, filter: string): boolean {
  const labels = definition.config.Labels ?? {};
  const equals = filter.indexOf("=");
  const key = equals < 0 ? filter : filter.slice(0, equals);
  return Object.hasOwn(labels, key) && (equals < 0 || labels[key] === filter.slice(equals + 1));
}

function exitCode(value: string): number {
  if (!/^-?\d+$/.test(value)) throw new EngineError("invalid", `strconv.Atoi: parsing "${value}": invalid syntax`);
  return Number(value);
}

function imageId(images: Context["images"], name: string): string[] {
  try {
    return [images.get(name).id];
  } catch (error) {
    if (errorKind(error) === "internal") throw error;
    return [];
  }
}

function networkNames(networks: Context["networks"], name: string): string[] {
  try {
    const { Name, Id } = networks.inspect(name);
    return [Name, Id];
  } catch {
    return [name];
  }
}

/** "80", "80/tcp", "8000-8010/udp". */
function portFilter(values: readonly string[], portsOf: (container: Container) => string[]): Passes {
  const wanted = new Set(values.flatMap(portsIn));
  return (container) => portsOf(container).some((port) => wanted.has(port.includes("/") ? port : `${port}/tcp`));
}

function portsIn(value: string): string[] {
  const match = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/.exec(value);
  if (match === null) throw new EngineError("invalid", `invalid port specification: '${value}'`);
  const [, first = "", last = first, protocol = "tcp"] = match;
  const count = Math.min(Number(last) - Number(first), 65535);
  return Array.from({ length: count + 1 }, (_, i) => `${Number(first) + i}/${protocol}`);
}
