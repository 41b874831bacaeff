/** The filters of lists whose modules return everything: networks and volumes. Several values of one filter are alternatives, labels must all match. */
import { EngineError } from "../base/errors.ts";
import type { Filters } from "../images/images.ts";
import type { Network } from "./types/network.ts";
import type { Volume } from "./types/volume.ts";

type Check = (values: readonly string[]) => boolean;

export function matchesVolume(volume: Volume, filters: Filters, used: ReadonlySet<string>): boolean {
  return passes(filters, {
    name: (values) => values.some((value) => volume.Name.includes(value)),
    driver: (values) => values.includes(volume.Driver),
    label: (values) => hasLabels(volume.Labels, values),
    dangling: (values) => booleanOf("dangling", values) !== used.has(volume.Name),
  });
}

const PREDEFINED = new Set(["bridge", "host", "none"]);

export function matchesNetwork(network: Network, filters: Filters): boolean {
  const predefined = PREDEFINED.has(network.Name);
  return passes(filters, {
    name: (values) => values.some((value) => network.Name.includes(value)),
    id: (values) => values.some((value) => network.Id.includes(value)),
    driver: (values) => values.includes(network.Driver),
    scope: (values) => values.includes(network.Scope),
    label: (values) => hasLabels(network.Labels, values),
    type: (values) => values.some((value) => (typeIsCustom(value) ? !predefined : predefined)),
    dangling: (values) =>
      booleanOf("dangling", values) === (!predefined && Object.keys(network.Containers).length === 0),
  });
}

const passes = (filters: Filters, checks: Readonly<Record<string, Check>>): boolean =>
  Object.entries(filters).every(([name, values]) => checks[name]?.(values) ?? true);

/** "key" or "key=value". */
function hasLabels(labels: Readonly<Record<string, string>> | undefined, wanted: readonly string[]): boolean {
  return wanted.every((want) => {
    const equals = want.indexOf("=");
    const have = labels?.[equals < 0 ? want : want.slice(0, equals)];
    return have !== undefined && (equals < 0 || have === want.slice(equals + 1));
  });
}

function typeIsCustom(value: string): boolean {
  if (value !== "custom" && value !== "builtin") throw new EngineError("invalid", `invalid filter: 'type'='${value}'`);
  return value === "custom";
}

const BOOLEANS: Readonly<Record<string, boolean>> = { "1": true, true: true, "0": false, false: false };

function booleanOf(name: string, values: readonly string[]): boolean {
  const [value = ""] = values;
  const found = BOOLEANS[value];
  if (values.length !== 1 || found === undefined)
    throw new EngineError("invalid", `invalid filter '${name}=[${values.join(" ")}]'`);
  return found;
}
