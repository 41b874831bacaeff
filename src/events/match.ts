import type { EventMessage } from "../api/types/system.ts";
import type { EventQuery } from "./events.ts";

type Test = (event: EventMessage, value: string) => boolean;

/** Docker's event filters: values of one filter are alternatives, different filters must all hold. */
const TESTS: Readonly<Record<string, Test>> = {
  type: (event, value) => event.Type === value,
  // "exec_start" also names "exec_start: ls -l".
  event: (event, value) => event.Action === value || event.Action.startsWith(`${value}:`),
  scope: (event, value) => (event.scope ?? "local") === value,
  container: ofType("container"),
  daemon: ofType("daemon"),
  network: ofType("network"),
  plugin: ofType("plugin"),
  volume: ofType("volume"),
  // Of a swarm, which never has any here.
  config: ofType("config"),
  node: ofType("node"),
  secret: ofType("secret"),
  service: ofType("service"),
  image: matchesImage,
  label: matchesLabel,
};

export const EVENT_FILTERS: readonly string[] = Object.keys(TESTS);

export function matches(event: EventMessage, filters: EventQuery["filters"]): boolean {
  return Object.entries(filters).every(([name, values]) => {
    const test = TESTS[name];
    return values.length === 0 || (test !== undefined && values.some((value) => test(event, value)));
  });
}

/** An object of this type, by a prefix of its id or name. */
function ofType(type: string): Test {
  return (event, value) =>
    event.Type === type && (event.Actor.ID.startsWith(value) || (event.Actor.Attributes.name ?? "").startsWith(value));
}

/** Events of the image, and of containers made from it, with or without a tag. */
function matchesImage(event: EventMessage, value: string): boolean {
  const { ID, Attributes } = event.Actor;
  const names =
    event.Type === "image" ? [ID, Attributes.name ?? ""] : event.Type === "container" ? [Attributes.image ?? ""] : [];
  return names.some((name) => name === value || withoutTag(name) === value);
}

function withoutTag(name: string): string {
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}

/** "key" or "key=value". */
function matchesLabel(event: EventMessage, value: string): boolean {
  const equals = value.indexOf("=");
  const key = equals < 0 ? value : value.slice(0, equals);
  const found = event.Actor.Attributes[key];
  return found !== undefined && (equals < 0 || found === value.slice(equals + 1));
}
