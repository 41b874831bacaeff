/** Bridges in the kernel: made, given their addresses, found again, and the containers' links plugged into them. */
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { addBridge, deleteLink, type RouteSocket, setBridgePort, setLink } from "../kernel/netlink.ts";
import { addAddress, deleteAddress } from "../kernel/netlink-addresses.ts";
import type { Link } from "../kernel/netlink-answers.ts";
import { ensureSysctl, readSysctl } from "../kernel/sysctl.ts";
import { type Cidr, type Ip, ipBytes, ipOfBytes, macBytes, macOf } from "./addresses.ts";
import { isOn, mtuOf, OPTION } from "./bridge-options.ts";
import { gatewayMode } from "./gateway-mode.ts";
import { broadcastOf, configure, renameLink } from "./interfaces.ts";
import { readSubnet } from "./ipam.ts";
import type { Names } from "./names.ts";
import type { Pair } from "./namespaces.ts";
import type { NetworkRecord } from "./records.ts";

/**
 * The bridge is there afterwards, up, with the network's gateways as its addresses; answers its index. Idempotent.
 * "conflict" for a link of that name that is no bridge, or is not ours and must be.
 */
export function ensureBridge(host: RouteSocket, network: NetworkRecord, names: Names): number {
  const { link, adopt } = network;
  const gateways = gatewaysOf(network);
  if (host.link(link) === undefined) makeBridge(host, network, names);
  const bridge = host.link(link);
  if (bridge?.kind !== "bridge") throw new EngineError("conflict", `a link named ${link} exists and is no bridge`);
  const ours = bridge.alias === names.alias;
  if (!ours && !adopt) throw new EngineError("conflict", `the bridge ${link} belongs to someone else`);
  host.run(setLink(bridge.index, { up: true }));
  ensureAddresses(host, bridge, gateways, ours);
  // Answers to 127.0.0.1's packets come in here; the firewall keeps containers themselves from 127.0.0.0/8.
  ensureSysctl(`net/ipv4/conf/${link}/route_localnet`, "1");
  return bridge.index;
}

interface GatewayAddress {
  readonly ip: Ip;
  readonly subnet: Cidr;
}

/** The addresses that the host has on the bridge: none of a family that is isolated, or that the user wants to keep off. */
function gatewaysOf(network: NetworkRecord): GatewayAddress[] {
  const inhibited = network.options[OPTION.inhibitIpv4] !== undefined && isOn(network, OPTION.inhibitIpv4);
  return network.subnets.flatMap((config) => {
    const found = readSubnet(config);
    if (found?.gateway === undefined) return [];
    const { family } = found.subnet;
    if (gatewayMode(network, family) === "isolated" || (family === 4 && inhibited)) return [];
    return [{ ip: found.gateway, subnet: found.subnet }];
  });
}

/**
 * Made under a name that tells whose it is, then renamed: a bridge without its alias would be nobody's after a kill. "EEXIST" when
 * someone else took the name meanwhile.
 */
function makeBridge(host: RouteSocket, network: NetworkRecord, names: Names): void {
  const { name, requests } = newBridge(network, names);
  host.run(...requests);
  try {
    host.run(setLink(host.link(name)?.index ?? 0, { name: network.link }));
  } catch (error) {
    host.run(deleteLink(name));
    throw error;
  }
}

/** The same on a thread, for it takes the kernel milliseconds; nothing when there is a link of that name. */
export async function makeBridgeAside(host: RouteSocket, network: NetworkRecord, names: Names): Promise<void> {
  if (host.link(network.link) !== undefined) return;
  const { name, requests } = newBridge(network, names);
  await host.runAside(...requests);
  try {
    await host.runAside(setLink(host.link(name)?.index ?? 0, { name: network.link }));
  } catch (error) {
    await host.runAside(deleteLink(name));
    throw error;
  }
}

function newBridge(network: NetworkRecord, { alias, linkPrefix }: Names) {
  const first = gatewaysOf(network)[0]?.ip ?? { family: 4, value: BigInt(`0x${network.id.slice(0, 8)}`) };
  const mac = macBytes(macOf(first)) ?? Buffer.alloc(6);
  const name = `${linkPrefix}${network.id.slice(0, 7)}`;
  const make = addBridge({ name, mtu: mtuOf(network), mac });
  return { name, requests: [deleteLink(name), make, setLink(name, { alias, noAutoIpv6: !network.ipv6 })] };
}

function ensureAddresses(host: RouteSocket, bridge: Link, gateways: readonly GatewayAddress[], ours: boolean): void {
  const wanted = gateways.map(({ ip, subnet }) => ({
    link: bridge.index,
    address: ipBytes(ip),
    prefix: subnet.prefix,
    broadcast: broadcastOf(subnet),
  }));
  const present = host.addresses().filter(({ link, scope }) => link === bridge.index && scope !== LINK_SCOPE);
  const stale = present.filter(
    ({ bytes, prefix }) => !wanted.some((one) => one.prefix === prefix && bytes.equals(one.address)),
  );
  const removals = ours
    ? stale.map(({ bytes, prefix }) => deleteAddress({ link: bridge.index, address: bytes, prefix }))
    : [];
  host.run(...removals, ...wanted.map(addAddress));
}

const LINK_SCOPE = 253;

/** The addresses that the link has now, as "172.17.0.1/16" would say them. */
export function addressesOf(host: RouteSocket, link: Link): { ip: Ip; prefix: number }[] {
  return host
    .addresses()
    .filter((address) => address.link === link.index && address.scope !== LINK_SCOPE)
    .map(({ bytes, prefix }) => ({ ip: ipOfBytes(bytes), prefix }));
}

/** Only a link of ours; idempotent. */
export async function removeOwnLink(host: RouteSocket, link: string, alias: string): Promise<void> {
  if (host.link(link)?.alias === alias) await host.runAside(deleteLink(link));
}

export interface PlugRequest {
  readonly host: RouteSocket;
  readonly inside: RouteSocket;
  readonly pair: Pair;
  readonly bridge: number;
  readonly network: NetworkRecord;
  readonly settings: EndpointSettings;
  /** The default gateways that are reached through it. */
  readonly gateways: readonly string[];
  /** Whether it may call itself by its published ports. */
  readonly published: boolean;
  /** Another name for the inner end. */
  readonly rename?: string | undefined;
}

/** The pair's outer end is a port of the bridge and its inner end has its addresses and routes. */
export function plug(request: PlugRequest): void {
  const { host, inside, pair, bridge, network, settings, gateways, published, rename } = request;
  const mtu = mtuOf(network);
  const isolated = !isOn(network, OPTION.icc) && !bridgesAreFiltered();
  const port = setBridgePort(pair.hostLink, { isolated, hairpin: published });
  host.run(setLink(pair.hostLink, { mtu, master: bridge }), port);
  if (rename !== undefined && rename !== "eth0") renameLink(inside, pair.index, rename);
  const mac = settings.MacAddress;
  configure({ inside, index: pair.index, settings, mtu, mac, linkLocal: network.ipv6, gateways });
}

/** A bridge that was adopted may take half a minute, with its spanning tree: nobody waits for that. */
const SETTLE_MS = 500;

/**
 * The kernel lets packets through a link, and through a bridge that had none, only when its work queue has come to it: what is sent
 * before is lost, and sent again a second later. Resolves when it has.
 */
export async function settled(host: RouteSocket, { hostLink, bridge }: PluggedPort): Promise<void> {
  const works = () => host.link(hostLink)?.forwarding !== false && host.link(bridge)?.operational !== false;
  for (const end = performance.now() + SETTLE_MS; !works() && performance.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 1));
}

export interface PluggedPort {
  readonly hostLink: string;
  /** The bridge's index. */
  readonly bridge: number;
}

/**
 * Whether bridged packets pass the firewall too: then its rules part neighbours, and published ports stay open to them, which an
 * isolated port would not allow. What is translated then leaves the bridge without having been routed, hence hairpin ports.
 */
function bridgesAreFiltered(): boolean {
  return ["iptables", "ip6tables"].every((name) => readSysctl(`net/bridge/bridge-nf-call-${name}`) === "1");
}
