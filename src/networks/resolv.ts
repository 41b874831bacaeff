/** resolv.conf (man 5 resolv.conf): the host's, made usable inside a network namespace of its own. */
import { readFileSync, statSync } from "node:fs";

export interface Resolver {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

const HOST_FILE = "/etc/resolv.conf";
/** systemd-resolved's file with the real servers, for those who cannot reach its stub at 127.0.0.53. */
const RESOLVED_FILE = "/run/systemd/resolve/resolv.conf";
/** What Docker falls back to. */
const PUBLIC_SERVERS = ["8.8.8.8", "8.8.4.4"];
const LOOPBACK = /^(?:127\.|::1$)/;

/** The host's file as text; "" when there is none. */
export function hostResolvConf(): string {
  return read(HOST_FILE);
}

let known: { readonly mtimeMs: number; readonly at: number; readonly servers: readonly string[] } | undefined;
const LOOK_AGAIN_MS = 2000;

/** The servers that the host itself asks, public ones when it has none; what changes in its file is seen within two seconds. */
export function hostNameServers(): readonly string[] {
  const now = performance.now();
  if (known !== undefined && now - known.at < LOOK_AGAIN_MS) return known.servers;
  const mtimeMs = statSync(HOST_FILE, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const servers = known?.mtimeMs === mtimeMs ? known.servers : parseResolvConf(hostResolvConf()).servers;
  known = { mtimeMs, at: now, servers };
  return servers.length > 0 ? servers : PUBLIC_SERVERS;
}

/** The host's resolver as far as a container can reach it; `fallback` tells that none of its servers can be. */
export function containerResolver(): Resolver & { readonly fallback: boolean } {
  const host = parseResolvConf(read(HOST_FILE));
  const stub = host.servers.length > 0 && host.servers.every((server) => server === "127.0.0.53");
  const resolver = stub ? { ...host, servers: parseResolvConf(read(RESOLVED_FILE)).servers } : host;
  const servers = resolver.servers.filter((server) => !LOOPBACK.test(server) && !server.includes("%"));
  return servers.length > 0
    ? { ...resolver, servers, fallback: false }
    : { ...resolver, servers: PUBLIC_SERVERS, fallback: true };
}

export function parseResolvConf(text: string): Resolver {
  const servers: string[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && words[0] !== undefined) servers.push(words[0]);
    else if (keyword === "search" || keyword === "domain") search = words;
    else if (keyword === "options") options.push(...words);
  }
  return { servers, search, options };
}

export function formatResolvConf({ servers, search, options }: Resolver): string {
  const lines = [
    "# Made by Gantry; changes are lost when the container starts again.",
    ...servers.map((server) => `nameserver ${server}`),
  ];
  if (search.length > 0) lines.push(`search ${search.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
