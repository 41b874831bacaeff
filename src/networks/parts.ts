/** What the files of this module share: one of each per engine. */
import type { Logger } from "../base/log.ts";
import type { Events } from "../events/events.ts";
import { RouteSocket } from "../kernel/netlink.ts";
import type { Plugins } from "../plugins/plugins.ts";
import type { Store } from "../store/store.ts";
import { type Cidr, type Family, ipOfBytes, makeCidr, overlaps, parseCidr } from "./addresses.ts";
import { isOn, OPTION, trustedLinks } from "./bridge-options.ts";
import type { BridgeRules } from "./bridge-sets.ts";
import { Debts } from "./debts.ts";
import { Dns } from "./dns/dns.ts";
import { type Drivers, makeDrivers } from "./drivers.ts";
import { Firewall } from "./firewall.ts";
import { Flows } from "./flows.ts";
import { type ForeignFirewalls, foreignFirewalls } from "./foreign-firewalls.ts";
import { gatewayMode } from "./gateway-mode.ts";
import { Ipam } from "./ipam.ts";
import { makeNames, type Names } from "./names.ts";
import { Namespaces } from "./namespaces.ts";
import type { NetworkSettings } from "./networks.ts";
import { PortHolder } from "./port-holder.ts";
import { Ports } from "./ports.ts";
import { type NetworkRecord, Records } from "./records.ts";
import { RemoteIpam } from "./remote-ipam.ts";
import { containerResolver, hostNameServers } from "./resolv.ts";

export interface Parts {
  readonly settings: NetworkSettings;
  readonly events: Events;
  readonly logger: Logger;
  readonly plugins: Plugins;
  readonly records: Records;
  readonly ipam: Ipam;
  readonly remoteIpam: RemoteIpam;
  readonly debts: Debts;
  /** In the host's namespace. */
  readonly host: RouteSocket;
  readonly names: Names;
  readonly namespaces: Namespaces;
  readonly drivers: Drivers;
  /** Undefined when the daemon must leave the firewall alone. */
  readonly firewall: Firewall | undefined;
  readonly foreign: ForeignFirewalls;
  readonly flows: Flows;
  readonly holder: PortHolder;
  readonly ports: Ports;
  readonly dns: Dns;
}

export interface PartsOptions {
  readonly store: Store;
  readonly settings: NetworkSettings;
  readonly events: Events;
  readonly logger: Logger;
  readonly plugins: Plugins;
  /** The name servers that the host asks; default: those of its resolv.conf. */
  readonly hostServers?: (() => readonly string[]) | undefined;
}

/** How many namespaces wait for containers: enough for a burst, few enough to cost nothing. */
const READY = { wired: 4, bare: 2 } as const;

export function makeParts({
  store,
  settings,
  events,
  logger,
  plugins,
  hostServers = hostNameServers,
}: PartsOptions): Parts {
  const names = makeNames(store.paths.dataRoot);
  const host = new RouteSocket();
  const records = new Records(store);
  const ipam = new Ipam(store);
  const debts = new Debts(store);
  const remoteIpam = new RemoteIpam({ plugins, debts, logger });
  const namespaces = new Namespaces({ paths: store.paths, host, linkPrefix: names.linkPrefix, logger, ready: READY });
  const bridgeIndexes = new Map<string, number>();
  const drivers = makeDrivers({
    host,
    names,
    plugins,
    logger,
    bridgeIndexes,
    bridgeMoved: async () => firewall?.follow(),
  });
  const holder = new PortHolder({ relays: settings.userlandProxy });
  const ports = new Ports({ records, holder, rivalFor: (port) => firewall?.rivalFor(port) });
  const foreign = foreignFirewalls({ logger, ipv6: settings.ip6tables });
  const indexOf = ({ id, link }: NetworkRecord) => bridgeIndexes.get(id) ?? host.link(link)?.index;
  const bridges = () => bridgeRules(records.networks(), indexOf, settings);
  const firewall = settings.iptables
    ? new Firewall({
        table: names.table,
        owner: names.alias,
        ipv6: settings.ip6tables,
        acceptMark: settings.acceptMark,
        throughInput: settings.publishThrough === "input",
        logger,
        bridges,
        state: () => ({
          bridges: bridges(),
          ports: records.ports(),
          opened: records.opened(),
        }),
        foreign,
      })
    : undefined;
  const flows = new Flows(logger);
  const dns = new Dns({ records, namespaces, logger, hostServers });
  return {
    ...{ settings, events, logger, plugins, records, ipam, remoteIpam, debts, host, names, namespaces, drivers },
    ...{ firewall, foreign, flows, holder, ports, dns },
  };
}

/** Of those whose bridge is there. */
function bridgeRules(
  networks: readonly NetworkRecord[],
  indexOf: (network: NetworkRecord) => number | undefined,
  settings: NetworkSettings,
): BridgeRules[] {
  return networks
    .filter(({ driver }) => driver === "bridge")
    .flatMap((network) => {
      const index = indexOf(network);
      if (index === undefined) return [];
      const modes = { 4: gatewayMode(network, 4), 6: gatewayMode(network, 6) };
      const outwards = isOn(network, OPTION.masquerade) && (settings.ipMasq || !network.predefined);
      const translates = (family: Family) => outwards && modes[family].startsWith("nat");
      return {
        index,
        subnets: network.subnets.flatMap(({ Subnet }) => Subnet ?? []),
        masquerade: {
          4: translates(4) ? (network.options[OPTION.hostIpv4] ?? "") : undefined,
          6: translates(6) ? (network.options[OPTION.hostIpv6] ?? "") : undefined,
        },
        internal: network.internal,
        icc: isOn(network, OPTION.icc),
        unprotected: { 4: modes[4] === "nat-unprotected", 6: modes[6] === "nat-unprotected" },
        routed: { 4: modes[4] === "routed", 6: modes[6] === "routed" },
        trusted: trustedLinks(network),
      };
    });
}

const TABLE_LOCAL = 255;

export interface HostSubnetsOptions {
  /** A link that does not count. */
  readonly except?: string;
  /** Links with this index and later ones do not count either. */
  readonly before?: number | undefined;
}

/** The subnets that the host uses or knows a way to, and its name servers' addresses. Routes to half of the world are no claim to it. */
export function hostSubnets(host: RouteSocket, { except, before }: HostSubnetsOptions = {}): Cidr[] {
  const own = except === undefined ? undefined : host.link(except)?.index;
  const counts = (link: number | undefined) =>
    link === undefined || (link !== own && (before === undefined || link < before));
  const routes = host.routes().filter(({ table, prefix, link }) => table !== TABLE_LOCAL && prefix > 1 && counts(link));
  const addresses = host.addresses().filter(({ link }) => counts(link));
  const used = [...routes, ...addresses].map(({ bytes, prefix }) => makeCidr(ipOfBytes(bytes), prefix));
  return [
    ...used,
    ...containerResolver().servers.flatMap((text) => parseCidr(`${text}/${text.includes(":") ? 128 : 32}`) ?? []),
  ];
}

/**
 * Whether the host uses one of the network's subnets elsewhere. Of two engines that chose at the same time the one whose bridge was
 * made later gives way; both are there to be seen a moment after they were given their addresses.
 */
export function hasRival(host: RouteSocket, network: NetworkRecord): boolean {
  const rivals = hostSubnets(host, { except: network.link, before: host.link(network.link)?.index });
  return networkSubnets([network]).some((own) => rivals.some((rival) => overlaps(own, rival)));
}

export function networkSubnets(networks: readonly NetworkRecord[]): Cidr[] {
  const real = networks.filter(({ configOnly }) => configOnly !== true);
  return real.flatMap(({ subnets }) => subnets.flatMap(({ Subnet }) => parseCidr(Subnet ?? "") ?? []));
}
