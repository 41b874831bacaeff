/** From a repository's name and the settings' rules to the places where it is asked for. Pure. */
import { EngineError } from "../base/errors.ts";
import { type Reference, repositoryOf } from "../oci/reference.ts";
import { isListed, isLoopback } from "./hosts.ts";
import type { MirrorRule, RegistryRule, RemoteSettings } from "./remote.ts";

export type Scheme = "https" | "http";

export interface Endpoint {
  /** "registry.example.com:5000": what is connected to. */
  readonly host: string;
  /** In the order in which they are tried. */
  readonly schemes: readonly Scheme[];
  /** The certificate is not verified. */
  readonly insecure: boolean;
  /** The repository's name there: "library/alpine". */
  readonly path: string;
  readonly mirror: boolean;
  readonly pull: NonNullable<MirrorRule["pull"]>;
  /** The registry that a mirror is asked for in place of: the `ns` of the distribution specification. Undefined: it is not told. */
  readonly namespace: string | undefined;
}

const DEFAULT_DOMAIN = "docker.io";
/** Where the registry of docker.io really is. */
const DEFAULT_HOST = "registry-1.docker.io";

/** Mirrors first when something is pulled, the registry last. "forbidden" when a rule blocks the repository. */
export function endpointsOf(reference: Reference, access: "pull" | "push", settings: RemoteSettings): Endpoint[] {
  const name = repositoryOf(reference);
  const rule = ruleFor(name, settings.rules);
  if (rule?.blocked === true)
    throw new EngineError("forbidden", `registry rule ${JSON.stringify(rule.prefix)} blocks ${name}`, {
      hint: "The rule is in the daemon's configuration, under registries.",
    });
  const origin = originOf(reference, name, rule, settings);
  if (access === "push") return [origin];
  const mirrors = mirrorsOf(reference, name, rule, settings);
  return rule?.mirrorsOnly === true && mirrors.length > 0 ? mirrors : [...mirrors, origin];
}

/** The rule of the longest prefix that covers the name at a boundary. */
export function ruleFor(name: string, rules: readonly RegistryRule[]): RegistryRule | undefined {
  const fitting = rules.filter(({ prefix }) => covers(prefix, name));
  return fitting.sort((a, b) => b.prefix.length - a.prefix.length)[0];
}

function covers(prefix: string, name: string): boolean {
  if (prefix.startsWith("*.")) {
    const domain = name.slice(0, name.indexOf("/")).replace(/:\d+$/, "");
    return domain.endsWith(prefix.slice(1));
  }
  return name === prefix || name.startsWith(`${prefix}/`);
}

function originOf(
  { domain, path }: Reference,
  name: string,
  rule: RegistryRule | undefined,
  settings: RemoteSettings,
): Endpoint {
  const insecure = rule?.insecure === true;
  if (rule?.location !== undefined) return placeOf(rule.location, restOf(name, rule.prefix), { insecure }, settings);
  return placeOf(domain === DEFAULT_DOMAIN ? DEFAULT_HOST : domain, path, { insecure }, settings);
}

function mirrorsOf(
  { domain, path }: Reference,
  name: string,
  rule: RegistryRule | undefined,
  settings: RemoteSettings,
): Endpoint[] {
  const named = (rule?.mirrors ?? []).map((mirror) => {
    const place = placeOf(mirror.location, restOf(name, rule?.prefix ?? ""), mirror, settings);
    // A mirror for several registries has the registry's own names; one with names of its own knows whose they are.
    const namespace = place.path === path ? domain : undefined;
    return { ...place, mirror: true, pull: mirror.pull ?? "all", namespace };
  });
  if (domain !== DEFAULT_DOMAIN) return named;
  return [...named, ...settings.mirrors.map((url) => ({ ...placeOf(url, path, {}, settings), mirror: true }))];
}

/** What of the name comes after the prefix; of a wildcard's, the path. */
function restOf(name: string, prefix: string): string {
  return prefix.startsWith("*.") ? name.slice(name.indexOf("/") + 1) : name.slice(prefix.length + 1);
}

function placeOf(
  location: string,
  rest: string,
  { insecure = false }: Pick<MirrorRule, "insecure">,
  settings: RemoteSettings,
): Endpoint {
  const { scheme, host, folder } = splitLocation(location);
  const lax = insecure || isInsecure(host, settings);
  const schemes: readonly Scheme[] = scheme !== undefined ? [scheme] : lax ? ["https", "http"] : ["https"];
  const path = [folder, rest].filter((part) => part !== "").join("/");
  return { host, schemes, insecure: lax, path, mirror: false, pull: "all", namespace: undefined };
}

export function isInsecure(host: string, settings: RemoteSettings): boolean {
  return isLoopback(host) || isListed(host, settings.insecureRegistries);
}

/** "https://host:5000/folder/" in its parts. */
export function splitLocation(location: string): { scheme: Scheme | undefined; host: string; folder: string } {
  const match = /^(?:(https?):\/\/)?([^/]+)(?:\/(.*?))?\/?$/.exec(location);
  if (match === null) throw new EngineError("invalid", `invalid registry location: ${JSON.stringify(location)}`);
  const [, scheme, host = "", folder = ""] = match;
  return { scheme: scheme as Scheme | undefined, host, folder };
}
