/** The table of routes, compiled once: an exact map for plain paths, patterns by method and first segment for the rest. */
import { EngineError } from "../base/errors.ts";
import { unescapeComponent } from "./query.ts";
import type { Method, Route } from "./route.ts";
import { MAX_VERSION, negotiate } from "./versions.ts";

export interface Match {
  readonly route: Route;
  readonly version: number;
  readonly path: Readonly<Record<string, string>>;
}

export interface Router {
  /**
   * The route for a request's path (without query). Throws "invalid" for a version we don't speak or a bad escape,
   * "not-found" with Docker's "page not found" otherwise.
   */
  match(method: string, pathname: string): Match;
}

interface Pattern {
  readonly expression: RegExp;
  readonly names: readonly string[];
  readonly route: Route;
}

const VERSIONED = /^\/v(\d+(?:\.\d+)*)(\/.*)$/;

export function createRouter(routes: readonly Route[]): Router {
  const exact = new Map<string, Route>();
  const patterns = new Map<string, Pattern[]>();
  for (const route of routes) {
    if (route.path.includes("{")) push(patterns, keyOf(route.method, route.path), compile(route));
    else exact.set(`${route.method} ${route.path}`, route);
  }
  // A name may have slashes, so the more particular template goes first.
  for (const list of patterns.values()) list.sort((one, other) => segmentsOf(other.route) - segmentsOf(one.route));

  function find(method: string, path: string): Omit<Match, "version"> | undefined {
    const plain = exact.get(`${method} ${path}`);
    if (plain !== undefined) return { route: plain, path: {} };
    for (const { expression, names, route } of patterns.get(keyOf(method, path)) ?? []) {
      const found = expression.exec(path);
      if (found !== null) return { route, path: capture(names, found) };
    }
    return undefined;
  }

  return {
    match(method, pathname) {
      const versioned = VERSIONED.exec(pathname);
      const version = versioned === null ? MAX_VERSION : negotiate(versioned[1]);
      const path = versioned?.[2] ?? pathname;
      const found =
        find(method, path) ?? (path.length > 1 && path.endsWith("/") ? find(method, path.slice(0, -1)) : undefined);
      if (found === undefined || (found.route.since ?? 0) > version)
        throw new EngineError("not-found", "page not found");
      return { ...found, version };
    },
  };
}

const segmentsOf = ({ path }: Route): number => path.split("/").length;

const keyOf = (method: Method | string, path: string): string => `${method} ${path.split("/", 2)[1] ?? ""}`;

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function compile(route: Route): Pattern {
  const names: string[] = [];
  const source = route.path.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, (_, name: string) => {
    names.push(name);
    return "(.+)";
  });
  return { expression: new RegExp(`^${source}$`), names, route };
}

function capture(names: readonly string[], found: RegExpExecArray): Record<string, string> {
  const values: Record<string, string> = {};
  names.forEach((name, index) => {
    values[name] = unescapeComponent(found[index + 1] ?? "");
  });
  return values;
}
