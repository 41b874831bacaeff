/** Where to listen, as `-H` says it. */
import { EngineError } from "../base/errors.ts";

export type Host =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly address: string; readonly port: number }
  /** Sockets that systemd opened: one by its descriptor, or all of them. */
  | { readonly kind: "fd"; readonly fd: number | undefined };

const PLAIN_PORT = 2375;
const TLS_PORT = 2376;

/** Throws "invalid" with Docker's words. */
export function parseHost(text: string, { tls, defaultPath }: { tls: boolean; defaultPath: string }): Host {
  const [, scheme, rest = ""] = /^(?:([a-z]+):\/\/)?(.*)$/s.exec(text.trim()) ?? [];
  if (scheme === "unix") return { kind: "unix", path: rest === "" ? defaultPath : absolute(rest, text) };
  if (scheme === "fd") return { kind: "fd", fd: rest === "" || rest === "*" ? undefined : descriptor(rest, text) };
  if (scheme === "tcp" || (scheme === undefined && rest !== "" && !rest.startsWith("/")))
    return parseTcp(rest, tls, text);
  throw badAddress(text);
}

function parseTcp(rest: string, tls: boolean, text: string): Host {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:/[\]]*))(?::(\d*))?\/?$/.exec(rest) ?? [];
  if (bracketed === undefined && plain === undefined) throw badAddress(text);
  const number = port === undefined || port === "" ? (tls ? TLS_PORT : PLAIN_PORT) : Number(port);
  if (number > 65535) throw badAddress(text);
  return {
    kind: "tcp",
    address: bracketed ?? (plain === "" || plain === undefined ? "localhost" : plain),
    port: number,
  };
}

function absolute(path: string, text: string): string {
  if (!path.startsWith("/")) throw badAddress(text);
  return path;
}

function descriptor(rest: string, text: string): number {
  if (!/^\d{1,4}$/.test(rest)) throw badAddress(text);
  return Number(rest);
}

const badAddress = (text: string): EngineError => new EngineError("invalid", `unable to parse docker host \`${text}\``);
