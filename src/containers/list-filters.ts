/** The filters of `docker ps` and `container prune`. Values of one filter are alternatives, but labels must all match; filters must all match. */
import { parseDuration } from "../base/durations.ts";
import { EngineError } from "../base/errors.ts";
import { millisecondsOf, ZERO_TIME } from "../base/time.ts";
import type { Container } from "./container.ts";
import type { Filters } from "./containers.ts";
import type { Context } from "./context.ts";
import { isRunning } from "./state.ts";
import { publishedPorts } from "./view-ports.ts";

export type Predicate = (container: Container) => boolean;

type FilterMaker = (values: readonly string[], context: Context) => Predicate;

const STATUSES: readonly string[] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const HEALTH: readonly string[] = ["starting", "healthy", "unhealthy", "none"];

/** Docker looks at stopped containers too when one of these is given. */
const IMPLY_ALL: readonly string[] = ["status", "before", "since", "exited"];

const FILTERS: Readonly<Record<string, FilterMaker>> = {
  id: (values) => (container) => values.some((value) => matchesText(container.id, value)),
  name: (values) => (container) =>
    values.some((value) => matchesText(container.name, value) || matchesText(`/${container.name}`, value)),
  label: (values) => (container) => hasLabels(container.definition.config.Labels, values),
  status: (values) => {
    for (const value of values) if (!STATUSES.includes(value)) throw invalid("status", value);
    return ({ state }) => values.includes(state.status);
  },
  exited: (values) => {
    const codes = values.map((value) => integer("exited", value));
    return ({ state }) => !isRunning(state) && state.startedAt !== ZERO_TIME && codes.includes(state.exitCode);
  },
  ancestor: (values, context) => {
    const ids = new Set(values.flatMap((value) => imageAndBelow(context, value)));
    return ({ imageId, definition }) => ids.has(imageId) || values.some((value) => value === definition.config.Image);
  },
  before: (values, { registry }) => {
    const others = values.map((value) => registry.get(value).createdNs);
    return ({ createdNs }) => others.every((other) => createdNs < other);
  },
  since: (values, { registry }) => {
    const others = values.map((value) => registry.get(value).createdNs);
    return ({ createdNs }) => others.every((other) => createdNs > other);
  },
  volume: (values) => (container) =>
    container.definition.mounts.some(
      ({ name, source, destination }) =>
        values.includes(destination) || values.includes(name ?? source) || values.includes(source),
    ),
  network: (values, { networks }) => {
    const names = new Set(values.flatMap((value) => networkNames(networks.list(), value)));
    return ({ definition }) => Object.keys(definition.endpoints).some((name) => names.has(name));
  },
  publish: (values, context) => portFilter("publish", values, (container) => publishedPorts(context, container)),
  expose: (values) =>
    portFilter("expose", values, ({ definition }) => Object.keys(definition.config.ExposedPorts ?? {})),
  health: (values) => {
    for (const value of values) if (!HEALTH.includes(value)) throw invalid("health", value);
    return ({ state }) => values.includes(state.health?.Status || "none");
  },
  "is-task": (values) => {
    const wanted = values.map((value) => boolean("is-task", value));
    return () => wanted.includes(false);
  },
  isolation: (values) => () => values.some((value) => value === "" || value === "default"),
};

/** Throws "invalid" for unknown names and values. */
export function listFilter(filters: Filters, context: Context): { readonly passes: Predicate; readonly all: boolean } {
  const predicates = Object.entries(filters).map(([name, values]) => {
    const make = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    if (make === undefined) throw new EngineError("invalid", `invalid filter '${name}'`);
    return make(values, context);
  });
  return {
    passes: (container) => predicates.every((passes) => passes(container)),
    all: Object.keys(filters).some((name) => IMPLY_ALL.includes(name)),
  };
}

/** `until` (a time), `label`, `label!`. */
export function pruneFilter(filters: Filters): Predicate {
  const until = filters.until?.map(untilTime) ?? [];
  if (until.length > 1) throw new EngineError("invalid", "more than one until filter specified");
  return ({ createdAt, definition }) =>
    until.every((time) => millisecondsOf(createdAt) < time) &&
    hasLabels(definition.config.Labels, filters.label ?? []) &&
    !(filters["label!"] ?? []).some((value) => hasLabels(definition.config.Labels, [value]));
}

function invalid(name: string, value: string): EngineError {
  return new EngineError("invalid", `invalid filter '${name}=${value}'`);
}

function integer(name: string, value: string): number {
  if (!/^-?\d+$/.test(value)) throw invalid(name, value);
  return Number(value);
}

function boolean(name: string, value: string): boolean {
  if (["1", "true"].includes(value)) return true;
  if (["0", "false"].includes(value)) return false;
  throw invalid(name, value);
}

/** A regular expression anywhere in the text, as Docker's; one that is none is taken literally. */
function matchesText(text: string, pattern: string): boolean {
  if (text === pattern) return true;
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return false;
  }
}

/** "key" or "key=value". */
function hasLabels(labels: Readonly<Record<string, string>> | null | undefined, wanted: readonly string[]): boolean {
  return wanted.every((want) => {
    const [key = "", ...rest] = want.split("=");
    if (labels === null || labels === undefined || !Object.hasOwn(labels, key)) return false;
    return rest.length === 0 || labels[key] === rest.join("=");
  });
}

/** The image, and those made of it: whose layers begin with its own. None when there is no such image. */
function imageAndBelow({ images, registry }: Context, reference: string): string[] {
  let layers: readonly string[];
  let id: string;
  try {
    const image = images.peek(reference);
    id = image.id;
    layers = image.config.rootfs.diff_ids;
  } catch {
    return [];
  }
  if (layers.length === 0) return [id];
  const used = new Set(registry.all().map(({ imageId }) => imageId));
  return [...used].filter((candidate) => candidate === id || startsWith(images, candidate, layers));
}

function startsWith(images: Context["images"], id: string, layers: readonly string[]): boolean {
  try {
    const { diff_ids } = images.peek(id).config.rootfs;
    return layers.every((layer, at) => diff_ids[at] === layer);
  } catch {
    return false;
  }
}

/** A network filter names it by name or id; containers keep whichever they were made with. */
function networkNames(networks: readonly { readonly Name: string; readonly Id: string }[], value: string): string[] {
  const found = networks.filter(({ Name, Id }) => Name === value || Id.startsWith(value));
  return [value, ...found.flatMap(({ Name, Id }) => [Name, Id])];
}

/** "80", "80/tcp", "80-90/udp". */
function portFilter(name: string, values: readonly string[], portsOf: (container: Container) => string[]): Predicate {
  const wanted = values.map((value) => {
    const match = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/.exec(value);
    if (match === null) throw new EngineError("invalid", `invalid filter '${name}=${value}'`);
    const [, from = "", to = from, protocol = "tcp"] = match;
    return { from: Number(from), to: Number(to), protocol };
  });
  return (container) =>
    portsOf(container).some((port) => {
      const [number = "", protocol = "tcp"] = port.split("/");
      return wanted.some(
        (range) => range.protocol === protocol && range.from <= Number(number) && Number(number) <= range.to,
      );
    });
}

/** Seconds since the epoch, RFC 3339, or a duration back from now; milliseconds since the epoch. */
function untilTime(value: string): number {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000;
  const duration = parseDuration(value);
  const time = duration === undefined ? Date.parse(value) : Date.now() - duration / 1e6;
  if (Number.isNaN(time)) throw new EngineError("invalid", `invalid value for "until": ${JSON.stringify(value)}`);
  return time;
}
