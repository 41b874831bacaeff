/** What of the containers is reachable, at which address, and from where. */
import type { ExposedPort, NetworkExposure } from "../api/types/network.ts";
import { type Listener, listenersIn } from "../kernel/listeners.ts";
import { NftSocket } from "../kernel/nftables.ts";
import { formatIp, ipOfBytes, parseIp } from "./addresses.ts";
import { isOn, OPTION } from "./bridge-options.ts";
import { gatewayMode } from "./gateway-mode.ts";
import type { Parts } from "./parts.ts";
import { familyOf } from "./ports.ts";
import type { EndpointRecord, NetworkRecord, PortRecord, SandboxRecord } from "./records.ts";
import { isAny, mapOf } from "./ruleset.ts";

export function exposure(parts: Parts): NetworkExposure {
  const { records, settings } = parts;
  const hosts = hostAddresses(parts);
  const ports = records.sandboxes().flatMap((sandbox) => ofSandbox(parts, sandbox, hosts));
  return {
    PassedBy: settings.iptables && settings.publishThrough === "forward" ? inputChains() : [],
    Ports: ports.sort((a, b) => RANK[a.From] - RANK[b.From] || (a.ContainerName < b.ContainerName ? -1 : 1)),
  };
}

const RANK: Readonly<Record<ExposedPort["From"], number>> = {
  anywhere: 0,
  address: 1,
  route: 2,
  link: 3,
  networks: 4,
  host: 5,
};

interface HostAddress {
  readonly address: string;
  readonly link: string;
}

/** Those that others could send to: without loopback, link-local ones, and engines' bridges. */
function hostAddresses({ host }: Parts): HostAddress[] {
  const links = new Map(host.links().map((link) => [link.index, link]));
  return host.addresses().flatMap(({ link, bytes, scope }) => {
    const found = links.get(link);
    if (scope !== 0 || found === undefined || found.alias.startsWith("gantry ")) return [];
    return [{ address: formatIp(ipOfBytes(bytes)), link: found.name }];
  });
}

function ofSandbox(parts: Parts, sandbox: SandboxRecord, hosts: readonly HostAddress[]): ExposedPort[] {
  const common = { ContainerID: sandbox.containerId, ContainerName: sandbox.name };
  if (!sandbox.ownNetns) return [{ ...common, ...HOST_NETWORK, Where: hosts.map(hostText) }];
  const listeners = listenersIn(parts.namespaces.path(sandbox.sandboxId));
  const published = parts.records.portsOfContainer(sandbox.containerId);
  const endpoints = parts.records.endpointsOfContainer(sandbox.containerId);
  return [
    ...published.map((port) => ({ ...common, ...ofPort(parts, port, hosts), Listens: listens(listeners, port) })),
    ...endpoints.flatMap((endpoint) => ofEndpoint(parts, endpoint, listeners)).map((port) => ({ ...common, ...port })),
  ];
}

const HOST_NETWORK = { Port: "", At: "", From: "anywhere", Listens: true, Relayed: false } as const;

type Anonymous = Omit<ExposedPort, "ContainerID" | "ContainerName">;

function ofPort({ settings }: Parts, port: PortRecord, hosts: readonly HostAddress[]): Omit<Anonymous, "Listens"> {
  const { hostIp, hostPort, containerPort, protocol } = port;
  const translated = settings.iptables && settings.publishThrough === "forward" && mapOf(port) !== undefined;
  const family = familyOf(hostIp);
  const reached = hosts.filter(({ address }) => (isAny(hostIp) ? familyOf(address) === family : address === hostIp));
  const From = isLoopback(hostIp) ? "host" : isAny(hostIp) ? "anywhere" : "address";
  return {
    Port: `${containerPort}/${protocol}`,
    At: at(hostIp, hostPort),
    From,
    Where: reached.map(hostText),
    Relayed: !translated,
  };
}

function listens(listeners: readonly Listener[], { protocol, containerIp, containerPort }: PortRecord): boolean {
  if (protocol === "sctp") return true;
  return listeners.some((one) => one.protocol === protocol && one.port === containerPort && servesAt(one, containerIp));
}

/** Whether the socket takes what is sent to the address: it has that one, or all of its family, or as IPv6 all of both. */
function servesAt({ address }: Listener, wanted: string): boolean {
  const text = formatIp(ipOfBytes(address));
  return text === wanted || text === "::" || (text === "0.0.0.0" && familyOf(wanted) === 4);
}

/** What listens in the container can be reached at its own address: by whom depends on the network. */
function ofEndpoint(parts: Parts, endpoint: EndpointRecord, listeners: readonly Listener[]): Anonymous[] {
  const network = parts.records.network(endpoint.networkId);
  if (network === undefined) return [];
  const { IPAddress, GlobalIPv6Address } = endpoint.settings;
  const open = new Set(
    parts.records
      .openedOfContainer(endpoint.containerId)
      .map((port) => key(port.containerIp, port.protocol, port.containerPort)),
  );
  return [IPAddress, GlobalIPv6Address].flatMap((address) => {
    if (!address) return [];
    const served = listeners.filter((one) => servesAt(one, address));
    return [...new Map(served.map((one) => [`${one.port}/${one.protocol}`, one]))].map(
      ([Port, { protocol, port }]) => ({
        Port,
        At: at(address, port),
        ...reachOf(network, familyOf(address), open.has(key(address, protocol, port))),
        Listens: true,
        Relayed: false,
      }),
    );
  });
}

function key(address: string, protocol: string, port: number): string {
  return `${address} ${protocol} ${port}`;
}

function reachOf(network: NetworkRecord, family: 4 | 6, open: boolean): Pick<ExposedPort, "From" | "Where"> {
  if (network.driver !== "bridge") return { From: "link", Where: [network.options.parent || network.name] };
  if (open || gatewayMode(network, family) === "nat-unprotected") return { From: "route", Where: [network.name] };
  if (!isOn(network, OPTION.icc)) return { From: "host", Where: [] };
  return { From: "networks", Where: [network.name] };
}

function at(address: string, port: number): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}

function hostText({ address, link }: HostAddress): string {
  return `${address} on ${link}`;
}

function isLoopback(text: string): boolean {
  const ip = parseIp(text);
  return ip?.family === 4 ? ip.value >> 24n === 127n : ip?.value === 1n;
}

/** Chains of others that decide what the host itself takes. */
function inputChains(): string[] {
  const nft = new NftSocket();
  try {
    return nft
      .baseChains()
      .filter(({ hook }) => hook === "input")
      .map(({ family, table, name }) => `${family} ${table} ${name}`);
  } finally {
    nft.close();
  }
}
