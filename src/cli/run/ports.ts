/** `--publish` and `--expose`: `[[ip:][host]:]container[/protocol]` with ranges, or `target=80,published=8080,…`. */
import { isIP } from "node:net";
import type { PortMap } from "../../api/types/container.ts";
import { parseCsv } from "../flags/values.ts";

export interface Ports {
  readonly exposed: Record<string, Record<string, unknown>>;
  readonly bindings: PortMap;
}

interface Range {
  readonly first: number;
  readonly last: number;
}

const PROTOCOLS = new Set(["tcp", "udp", "sctp"]);

export function parsePorts(published: readonly string[], exposed: readonly string[]): Ports {
  const ports: Ports = { exposed: {}, bindings: {} };
  for (const text of published) publish(ports, text.includes("=") ? shortForm(text) : text);
  for (const text of exposed) expose(ports, text);
  return ports;
}

function shortForm(text: string): string {
  const fields: Record<string, string> = {};
  for (const field of parseCsv(text)) {
    const [key = "", value] = field.toLowerCase().split("=");
    if (value === undefined) throw new Error(`invalid field ${field}`);
    if (!["protocol", "mode", "target", "published"].includes(key)) throw new Error(`invalid field key ${key}`);
    fields[key] = value;
  }
  if (fields.target === undefined) throw new Error(`missing mandatory field "target"`);
  const host = fields.published === undefined ? "" : `${fields.published}:`;
  return `${host}${fields.target}/${fields.protocol ?? "tcp"}`;
}

function publish({ exposed, bindings }: Ports, text: string): void {
  const { ip, host, container, protocol } = split(text);
  const inside = range(container, "containerPort", container);
  const outside = host === "" ? undefined : range(host, "hostPort", host);
  const count = inside.last - inside.first;
  const spread = outside !== undefined && outside.last - outside.first !== count;
  if (outside !== undefined && spread && count > 0)
    throw new Error(`invalid ranges specified for container and host Ports: ${container} and ${host}`);
  for (let offset = 0; offset <= count; offset++) {
    const port = `${inside.first + offset}/${protocol}`;
    const hostPort = outside === undefined ? "" : spread ? host : String(outside.first + offset);
    exposed[port] = {};
    bindings[port] = [...(bindings[port] ?? []), { HostIp: ip, HostPort: hostPort }];
  }
}

function split(text: string): { ip: string; host: string; container: string; protocol: string } {
  const slash = text.lastIndexOf("/");
  const protocol = (slash < 0 ? "tcp" : text.slice(slash + 1)).toLowerCase();
  const words = slash < 0 ? text : text.slice(0, slash);
  if (!PROTOCOLS.has(protocol)) throw new Error(`invalid proto: ${protocol}`);
  const container = words.slice(words.lastIndexOf(":") + 1);
  const before = words.slice(0, Math.max(0, words.length - container.length - 1));
  const host = before.endsWith("]") ? "" : before.slice(before.lastIndexOf(":") + 1);
  const rawIp = before.slice(0, Math.max(0, before.length - host.length - (before.includes(":") ? 1 : 0)));
  const ip = rawIp.replace(/^\[(.*)\]$/, "$1");
  if (container === "") throw new Error(`no port specified: ${text}<empty>`);
  if (ip !== "" && isIP(ip) === 0) throw new Error(`invalid IP address: ${ip}`);
  return { ip, host, container, protocol };
}

function range(text: string, what: string, whole: string): Range {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (match === null || last < first || last > 65535) throw new Error(`invalid ${what}: ${whole}`);
  return { first, last };
}

function expose({ exposed }: Ports, text: string): void {
  if (text.includes(":")) throw new Error(`invalid port format for --expose: ${text}`);
  const [ports = "", protocol = "tcp"] = text.split("/");
  const match = /^(\d+)(?:-(\d+))?$/.exec(ports);
  if (match === null)
    throw new Error(
      `invalid range format for --expose: ${text}, error: strconv.ParseUint: parsing ${JSON.stringify(ports)}: invalid syntax`,
    );
  for (let port = Number(match[1]); port <= Number(match[2] ?? match[1]); port++) exposed[`${port}/${protocol}`] ??= {};
}
