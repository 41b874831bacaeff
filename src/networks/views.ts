/** The API's shapes. */
import type { EndpointSettings, Network, NetworkContainer } from "../api/types/network.ts";
import { shortId } from "../base/ids.ts";
import type { SandboxRequest } from "./networks.ts";
import type { EndpointRecord, NetworkRecord } from "./records.ts";

export function networkView(
  record: NetworkRecord,
  endpoints: readonly (EndpointRecord & { containerName: string })[],
): Network {
  const { id, name, driver, created, ipv4, ipv6, internal, attachable, subnets, options, labels } = record;
  return {
    Name: name,
    Id: id,
    Created: created,
    Scope: "local",
    Driver: driver,
    EnableIPv4: ipv4,
    EnableIPv6: ipv6,
    IPAM: { Driver: record.ipamDriver, Options: record.ipamOptions, Config: [...subnets] },
    Internal: internal,
    Attachable: attachable,
    Ingress: false,
    ConfigFrom: { Network: record.configFrom ?? "" },
    ConfigOnly: record.configOnly ?? false,
    Containers: Object.fromEntries(endpoints.map((endpoint) => [endpoint.containerId, containerView(endpoint)])),
    Options: { ...options },
    Labels: { ...labels },
  };
}

function containerView({ id, containerName, settings }: EndpointRecord & { containerName: string }): NetworkContainer {
  const {
    MacAddress = "",
    IPAddress = "",
    IPPrefixLen = 0,
    GlobalIPv6Address = "",
    GlobalIPv6PrefixLen = 0,
  } = settings;
  return {
    Name: containerName,
    EndpointID: id,
    MacAddress,
    IPv4Address: IPAddress === "" ? "" : `${IPAddress}/${IPPrefixLen}`,
    IPv6Address: GlobalIPv6Address === "" ? "" : `${GlobalIPv6Address}/${GlobalIPv6PrefixLen}`,
  };
}

/** Every field that Docker fills, so that a reader finds "" where there is nothing. */
export function endpointView(wished: EndpointSettings, assigned: EndpointSettings): EndpointSettings {
  return {
    IPAMConfig: wished.IPAMConfig,
    Links: wished.Links,
    Aliases: wished.Aliases,
    DriverOpts: wished.DriverOpts,
    GwPriority: wished.GwPriority ?? 0,
    MacAddress: "",
    NetworkID: "",
    EndpointID: "",
    Gateway: "",
    IPAddress: "",
    IPPrefixLen: 0,
    IPv6Gateway: "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    DNSNames: wished.DNSNames,
    ...assigned,
  };
}

/** The names under which others of a user-defined network will find the container. */
export function dnsNames(
  request: Pick<SandboxRequest, "containerId" | "name" | "hostname">,
  network: NetworkRecord,
  { Aliases }: EndpointSettings,
): string[] | undefined {
  if (network.predefined) return undefined;
  const names = [request.name, ...(Aliases ?? []), shortId(request.containerId), request.hostname];
  return [...new Set(names.filter((name) => name !== ""))];
}
