/** Where a daemon listens, as people write it: `unix:///path`, `tcp://host:port`, `http(s)://host:port`, `ssh://[user@]host[:port]`. */
import { EngineError } from "../base/errors.ts";

export interface TlsOptions {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** False: the server's certificate is not checked. */
  readonly verify: boolean;
}

export type Endpoint =
  | { readonly kind: "unix"; readonly path: string }
  | {
      readonly kind: "tcp";
      readonly host: string;
      readonly port: number;
      readonly base: string;
      readonly tls?: TlsOptions | undefined;
    }
  | {
      readonly kind: "ssh";
      readonly destination: string;
      readonly port: number | undefined;
      readonly socket: string | undefined;
    };

export const DEFAULT_HOST = "unix:///run/gantry/gantry.sock";

/** Throws "invalid" for what is no address. `tls` counts for tcp only. */
export function parseHost(text: string, tls?: TlsOptions): Endpoint {
  const colon = text.indexOf("://");
  if (colon < 0) throw new EngineError("invalid", `unable to parse docker host \`${text}\``);
  const scheme = text.slice(0, colon);
  const rest = text.slice(colon + 3);
  switch (scheme) {
    case "unix":
      return { kind: "unix", path: rest === "" ? DEFAULT_HOST.slice("unix://".length) : rest };
    case "tcp":
    case "http":
    case "https":
      return tcp(text, rest, scheme === "https" ? (tls ?? { verify: true }) : tls);
    case "ssh":
      return ssh(text);
    default:
      throw new EngineError("invalid", `protocol not available: ${JSON.stringify(text)}`, {
        hint: "Use unix://, tcp://, http://, https:// or ssh://.",
      });
  }
}

function tcp(text: string, rest: string, tls: TlsOptions | undefined): Endpoint {
  let url: URL;
  try {
    url = new URL(`${tls ? "https" : "http"}://${rest === "" ? "localhost" : rest}`);
  } catch {
    throw new EngineError("invalid", `unable to parse docker host \`${text}\``);
  }
  const port = /:\d+$/.test(url.host) ? Number(url.port) : (explicitPort(rest) ?? (tls ? 2376 : 2375));
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { kind: "tcp", host, port, base: url.pathname.replace(/\/$/, ""), tls };
}

/** URL drops a scheme's default port, which is one that somebody wrote. */
function explicitPort(rest: string): number | undefined {
  const match = /^[^/]*:(\d+)(?:\/|$)/.exec(rest);
  return match ? Number(match[1]) : undefined;
}

function ssh(text: string): Endpoint {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new EngineError("invalid", `unable to parse docker host \`${text}\``);
  }
  if (url.hostname === "") throw new EngineError("invalid", `no host specified in ${JSON.stringify(text)}`);
  if (url.hostname.startsWith("-") || url.username.startsWith("-"))
    throw new EngineError("invalid", `invalid ssh host ${JSON.stringify(text)}`);
  if (url.password !== "") throw new EngineError("invalid", "plain-text password is not supported in an ssh host");
  const user = decodeURIComponent(url.username);
  return {
    kind: "ssh",
    destination: user === "" ? url.hostname : `${user}@${url.hostname}`,
    port: url.port === "" ? undefined : Number(url.port),
    socket: url.pathname === "" || url.pathname === "/" ? undefined : url.pathname,
  };
}

/** As errors name it. */
export function hostText(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case "unix":
      return `unix://${endpoint.path}`;
    case "tcp":
      return `tcp://${endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}${endpoint.base}`;
    case "ssh":
      return `ssh://${endpoint.destination}${endpoint.port === undefined ? "" : `:${endpoint.port}`}`;
  }
}
