/** What a container's /etc/hosts, /etc/resolv.conf and /etc/hostname say. */
import { readFileSync } from "node:fs";
import { EngineError } from "../base/errors.ts";
import { parseIp } from "./addresses.ts";
import { DNS_ADDRESS } from "./dns/server.ts";
import type { Sandbox, SandboxRequest } from "./networks.ts";
import { containerResolver, formatResolvConf, hostResolvConf, parseResolvConf } from "./resolv.ts";

export interface FileOptions {
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly extraHosts: readonly string[];
  /** Lines for containers that this one is linked to. */
  readonly links?: readonly string[];
}

export interface FileContext extends FileOptions {
  readonly request: SandboxRequest;
  readonly sandbox: Sandbox;
  /** What "host-gateway" stands for. */
  readonly hostGateways: readonly string[];
}

const LOCALHOST = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

export function hostsFile(context: FileContext): string {
  const { request, sandbox, extraHosts, links = [] } = context;
  const extra = extraHosts.flatMap((text) => extraHost(text, context.hostGateways));
  if (sandbox.netns === undefined) return joined([readHosts().trimEnd(), ...extra]);
  const { hostname, domainname } = request;
  const names = domainname === "" ? hostname : `${hostname}.${domainname} ${hostname}`;
  const own = Object.values(sandbox.endpoints).flatMap(({ IPAddress, GlobalIPv6Address }) =>
    [IPAddress, GlobalIPv6Address].flatMap((ip) => (ip === undefined || ip === "" ? [] : [`${ip}\t${names}`])),
  );
  return joined([...LOCALHOST, ...extra, ...links, ...own]);
}

function joined(lines: readonly string[]): string {
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
}

function readHosts(): string {
  try {
    return readFileSync("/etc/hosts", "utf8");
  } catch {
    return LOCALHOST.join("\n");
  }
}

/** "name:address" or "name=address", the address possibly in brackets, or "host-gateway". */
function extraHost(text: string, hostGateways: readonly string[]): string[] {
  const [, name = "", written = ""] = /^([^:=]*)[:=](.*)$/s.exec(text) ?? [];
  if (written === "host-gateway") {
    if (hostGateways.length === 0)
      throw new EngineError("invalid", "unable to derive the IP value for host-gateway", {
        hint: "give the daemon --host-gateway-ip",
      });
    return hostGateways.map((ip) => `${ip}\t${name}`);
  }
  const ip = written.replace(/^\[(.*)\]$/, "$1");
  if (name === "" || parseIp(ip) === undefined)
    throw new EngineError("invalid", `invalid IP address in add-host: ${JSON.stringify(written)}`);
  return [`${ip}\t${name}`];
}

/** `warn` is called when the host has no name server that a container could reach. */
export function resolvConfFile({ sandbox, dns, dnsSearch, dnsOptions }: FileContext, warn: () => void): string {
  const untouched = dns.length + dnsSearch.length + dnsOptions.length === 0;
  if (sandbox.netns === undefined && untouched) return hostResolvConf();
  const host = sandbox.dns || sandbox.netns === undefined ? ownResolver() : containerResolver();
  if (host.fallback && dns.length === 0) warn();
  return formatResolvConf({
    servers: sandbox.dns ? [DNS_ADDRESS.join(".")] : dns.length > 0 ? dns : host.servers,
    search: (dnsSearch.length > 0 ? dnsSearch : host.search).filter((domain) => domain !== "."),
    options: sandbox.dns ? withDots(dnsOptions, host.options) : dnsOptions.length > 0 ? dnsOptions : host.options,
  });
}

function ownResolver() {
  return { ...parseResolvConf(hostResolvConf()), fallback: false };
}

/** Names of containers have no dots and are tried as they are, unless the user says otherwise. */
function withDots(wished: readonly string[], host: readonly string[]): string[] {
  if (wished.some(isDots)) return [...wished];
  return [...(wished.length > 0 ? wished : host.filter((option) => !isDots(option))), "ndots:0"];
}

export function isDots(option: string): boolean {
  return option.startsWith("ndots:");
}
