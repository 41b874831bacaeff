/** Ports in a table's cell: neighbours as ranges ("8000-8002/tcp"), bindings to another port one by one after them. */
import type { Port } from "../../api/types/container.ts";

interface Range {
  readonly key: string;
  readonly first: number;
  last: number;
}

export function portsText(ports: readonly Port[]): string {
  const closed: Range[] = [];
  const open = new Map<string, Range>();
  const bound: string[] = [];
  for (const { IP = "", PrivatePort, PublicPort = 0, Type } of ports.toSorted(comparePorts)) {
    if (IP !== "" && PublicPort !== PrivatePort) {
      bound.push(`${IP.includes(":") ? `[${IP}]` : IP}:${PublicPort}->${PrivatePort}/${Type}`);
      continue;
    }
    const key = IP === "" ? Type : `${IP}/${Type}`;
    const range = open.get(key);
    if (range?.last === PrivatePort - 1) range.last = PrivatePort;
    else {
      if (range !== undefined) closed.push(range);
      const fresh = { key, first: PrivatePort, last: PrivatePort };
      open.set(key, fresh);
    }
  }
  return [...[...closed, ...open.values()].map(rangeText), ...bound].join(", ");
}

function rangeText({ key, first, last }: Range): string {
  const ports = first === last ? String(first) : `${first}-${last}`;
  const slash = key.lastIndexOf("/");
  if (slash < 0) return `${ports}/${key}`;
  const ip = key.slice(0, slash);
  return `${ip.includes(":") ? `[${ip}]` : ip}:${ports}->${ports}/${key.slice(slash + 1)}`;
}

function comparePorts(a: Port, b: Port): number {
  if (a.PrivatePort !== b.PrivatePort) return a.PrivatePort - b.PrivatePort;
  const [ipA, ipB] = [a.IP ?? "", b.IP ?? ""];
  if (ipA !== ipB) return ipA < ipB ? -1 : 1;
  if (a.PublicPort !== b.PublicPort) return (a.PublicPort ?? 0) - (b.PublicPort ?? 0);
  return a.Type < b.Type ? -1 : a.Type > b.Type ? 1 : 0;
}
