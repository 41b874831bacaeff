/**
 * The drivers: what a network of each kind is in the kernel, and how a sandbox gets its end of it. A row of the table is all that
 * the rest knows of a kind; macvlan, ipvlan and plug-ins are further rows.
 */
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { deleteLink, type RouteSocket, setLink } from "../kernel/netlink.ts";
import { formatIp, macBytes, macOf, parseIp } from "./addresses.ts";
import { ensureBridge, plug, removeBridge } from "./bridges.ts";
import { type Ipam, readSubnet } from "./ipam.ts";
import type { Names } from "./names.ts";
import { makePair, type Pair } from "./namespaces.ts";
import type { EndpointRecord, NetworkRecord } from "./records.ts";

export interface AssignRequest {
  readonly network: NetworkRecord;
  readonly endpointId: string;
  readonly wished: EndpointSettings;
}

export interface JoinRequest {
  readonly network: NetworkRecord;
  readonly endpoint: EndpointRecord;
  readonly netns: string;
  /** Inside the sandbox. */
  readonly inside: RouteSocket;
  /** Of the interface inside. */
  readonly name: string;
  /** A pair made ahead whose inner end is eth0. */
  readonly pair?: Pair | undefined;
  /** The default gateways that are reached through this endpoint. */
  readonly gateways: readonly string[];
  /** Whether the sandbox has published ports, by which it may call itself. */
  readonly published: boolean;
}

export interface Driver {
  /** Whether its containers have a network namespace of their own. */
  readonly ownNetns: boolean;
  /** Whether its endpoints are links, with addresses. */
  readonly wired: boolean;
  /** Whether users may create networks of it. */
  readonly many: boolean;
  /** The network is in the kernel afterwards. Idempotent. */
  ensure(network: NetworkRecord): void;
  remove(network: NetworkRecord): void;
  /** Chooses addresses; inside the transaction that writes the endpoint. */
  assign(request: AssignRequest): EndpointSettings;
  join(request: JoinRequest): void;
  /** Cuts the endpoint off at once; what remains of the link goes with the sandbox. Idempotent. */
  leave(endpoint: EndpointRecord): void;
  /** The link is gone, while the sandbox lives on. Idempotent. */
  discard(endpoint: EndpointRecord): Promise<void>;
}

export interface DriverParts {
  readonly host: RouteSocket;
  readonly ipam: Ipam;
  readonly names: Names;
}

/** Docker's name for a container's own gateway address among a network's auxiliary addresses. */
export const GATEWAY_KEY = { 4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6" } as const;

export function makeDrivers(parts: DriverParts): Readonly<Record<string, Driver>> {
  return { bridge: bridgeDriver(parts), host: plainDriver({ ownNetns: false }), null: plainDriver({ ownNetns: true }) };
}

function plainDriver({ ownNetns }: { ownNetns: boolean }): Driver {
  const nothing = () => {};
  return {
    ownNetns,
    wired: false,
    many: false,
    ensure: nothing,
    remove: nothing,
    assign: ({ wished }) => refuseStatic(wished),
    join: nothing,
    leave: nothing,
    discard: async () => {},
  };
}

function refuseStatic(wished: EndpointSettings): EndpointSettings {
  const { IPv4Address = "", IPv6Address = "" } = wished.IPAMConfig ?? {};
  if (IPv4Address !== "" || IPv6Address !== "")
    throw new EngineError("invalid", "user specified IP address is supported on user defined networks only");
  return {};
}

function bridgeDriver({ host, ipam, names }: DriverParts): Driver {
  const indexes = new Map<string, number>();
  const ensure = (network: NetworkRecord) => {
    const index = ensureBridge(host, network, names);
    indexes.set(network.id, index);
    return index;
  };
  return {
    ownNetns: true,
    wired: true,
    many: true,
    ensure,
    remove(network) {
      indexes.delete(network.id);
      removeBridge(host, network.link, names.alias);
    },
    assign: (request) => assign(ipam, request),
    join({ network, endpoint, netns, inside, name, pair, ...rest }) {
      const { hostLink, settings } = endpoint;
      const used = pair === undefined ? makePair({ host, inside, path: netns, hostLink, name }) : pair;
      const request = { host, inside, pair: used, network, settings, rename: pair && name, ...rest };
      try {
        plug({ ...request, bridge: indexes.get(network.id) ?? ensure(network) });
      } catch {
        // Someone may have taken the bridge away: one more try on a bridge that was looked for.
        plug({ ...request, bridge: ensure(network) });
      }
    },
    leave: ({ hostLink }) => host.run({ ...setLink(hostLink, { master: 0, up: false }), tolerate: ["ENODEV"] }),
    discard: ({ hostLink }) => host.runAside(deleteLink(hostLink)),
  };
}

function assign(ipam: Ipam, { network, endpointId, wished }: AssignRequest): EndpointSettings {
  if (network.predefined) refuseStatic(wished);
  const settings: EndpointSettings = {};
  const { IPv4Address = "", IPv6Address = "" } = wished.IPAMConfig ?? {};
  if ((IPv4Address !== "" || IPv6Address !== "") && !network.ownSubnets)
    throw new EngineError(
      "invalid",
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    );
  let mac = wished.MacAddress || "";
  if (mac !== "" && macBytes(mac) === undefined) throw new EngineError("invalid", `invalid MAC address: ${mac}`);
  for (const family of [4, 6] as const) {
    if (!(family === 4 ? network.ipv4 : network.ipv6)) continue;
    const text = family === 4 ? IPv4Address : IPv6Address;
    const { ip, subnet, gateway } = ipam.take({ network, family, wished: text === "" ? undefined : text, endpointId });
    const router = network.internal
      ? ""
      : (gatewayOf(network, family) ?? (gateway === undefined ? "" : formatIp(gateway)));
    if (mac === "") mac = macOf(ip);
    Object.assign(
      settings,
      family === 4
        ? { IPAddress: formatIp(ip), IPPrefixLen: subnet.prefix, Gateway: router }
        : { GlobalIPv6Address: formatIp(ip), GlobalIPv6PrefixLen: subnet.prefix, IPv6Gateway: router },
    );
  }
  return { ...settings, MacAddress: mac.toLowerCase().replaceAll("-", ":") };
}

/** The gateway that the daemon was told to give to containers instead of the bridge's own address. */
function gatewayOf(network: NetworkRecord, family: 4 | 6): string | undefined {
  for (const config of network.subnets) {
    const text = config.AuxiliaryAddresses?.[GATEWAY_KEY[family]];
    if (readSubnet(config)?.subnet.family === family && parseIp(text ?? "") !== undefined) return text;
  }
  return undefined;
}
