/** A sandbox's interface: its name, addresses and routes. */
import type { EndpointSettings } from "../api/types/network.ts";
import { type RouteSocket, setLink } from "../kernel/netlink.ts";
import { addAddress, setDefaultRoute } from "../kernel/netlink-addresses.ts";
import { type Cidr, formatIp, ipBytes, linkLocalOf, macBytes, makeCidr, parseIp } from "./addresses.ts";

export interface InterfaceRequest {
  readonly inside: RouteSocket;
  readonly index: number;
  readonly settings: EndpointSettings;
  /** Undefined: as it is. */
  readonly mtu?: number | undefined;
  /** Undefined: as it is. */
  readonly mac?: string | undefined;
  /** Whether it gets the link-local IPv6 address that follows from its MAC address. */
  readonly linkLocal: boolean;
  /** The default gateways that are reached through it. */
  readonly gateways: readonly string[];
}

/** The interface is up and has what the endpoint's settings say. */
export function configure({ inside, index, settings, mtu, mac, linkLocal, gateways }: InterfaceRequest): void {
  inside.run(
    setLink(index, { mtu, mac: mac === undefined ? undefined : macBytes(mac), up: true }),
    ...addresses(settings, linkLocal).map((address) => addAddress({ link: index, ...address })),
    ...gateways.flatMap((text) => {
      const ip = parseIp(text);
      return ip === undefined ? [] : [setDefaultRoute(index, ipBytes(ip))];
    }),
  );
}

/** A link that is up keeps its name. */
export function renameLink(inside: RouteSocket, index: number, name: string): void {
  inside.run(setLink(index, { up: false }), setLink(index, { name }));
}

function addresses(settings: EndpointSettings, linkLocal: boolean) {
  const { IPAddress, IPPrefixLen = 0, GlobalIPv6Address, GlobalIPv6PrefixLen = 0, MacAddress = "" } = settings;
  const mac = macBytes(MacAddress);
  const own = linkLocal && mac !== undefined ? formatIp(linkLocalOf(mac)) : undefined;
  const wanted: (readonly [string | undefined, number])[] = [
    [IPAddress, IPPrefixLen],
    [own, 64],
    [GlobalIPv6Address, GlobalIPv6PrefixLen],
    ...(settings.IPAMConfig?.LinkLocalIPs ?? []).map((ip) => [ip, ip.includes(":") ? 64 : 16] as const),
  ];
  return wanted.flatMap(([text, prefix]) => {
    const ip = parseIp(text ?? "");
    return ip === undefined ? [] : [{ address: ipBytes(ip), prefix, broadcast: broadcastOf(makeCidr(ip, prefix)) }];
  });
}

export function broadcastOf({ family, last, prefix }: Cidr): Uint8Array | undefined {
  return family === 4 && prefix < 31 ? ipBytes({ family, value: last }) : undefined;
}
