/** The addresses of an endpoint, and its MAC address. */
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { type Family, formatIp, macBytes, macOf, parseIp } from "./addresses.ts";
import { type Ipam, readSubnet } from "./ipam.ts";
import type { NetworkRecord } from "./records.ts";

export interface AssignRequest {
  readonly network: NetworkRecord;
  readonly endpointId: string;
  readonly wished: EndpointSettings;
  /** What another IPAM driver chose. */
  readonly leased?: Readonly<Partial<Record<Family, string>>> | undefined;
}

/** Docker's name for a container's own gateway address among a network's auxiliary addresses. */
export const GATEWAY_KEY = { 4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6" } as const;

/** Inside the transaction that writes the endpoint. The kinds of `Ipam.take`; "invalid" for wishes that the network cannot fulfil. */
export function assign(ipam: Ipam, { network, endpointId, wished, leased }: AssignRequest): EndpointSettings {
  const settings: EndpointSettings = {};
  let mac = wished.MacAddress || "";
  if (mac !== "" && macBytes(mac) === undefined) throw new EngineError("invalid", `invalid MAC address: ${mac}`);
  const { IPv4Address = "", IPv6Address = "" } = wished.IPAMConfig ?? {};
  for (const family of familiesOf(network)) {
    const text = leased?.[family] ?? (family === 4 ? IPv4Address : IPv6Address);
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

/** The families of which the network gives addresses. */
export function familiesOf({ ipv4, ipv6, ipamDriver }: NetworkRecord): Family[] {
  if (ipamDriver === "null") return [];
  return [...(ipv4 ? [4 as const] : []), ...(ipv6 ? [6 as const] : [])];
}

/** The gateway that the daemon was told to give to containers instead of the bridge's own address. */
function gatewayOf(network: NetworkRecord, family: Family): string | undefined {
  for (const config of network.subnets) {
    const text = config.AuxiliaryAddresses?.[GATEWAY_KEY[family]];
    if (readSubnet(config)?.subnet.family === family && parseIp(text ?? "") !== undefined) return text;
  }
  return undefined;
}
