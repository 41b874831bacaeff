// Wire types of the Docker Engine API v1.51: networks. Field names are the API's; absent and undefined mean the same.

export interface Network {
  Name: string;
  Id: string;
  Created: string;
  Scope: string;
  Driver: string;
  EnableIPv4: boolean;
  EnableIPv6: boolean;
  IPAM: IPAM;
  Internal: boolean;
  Attachable: boolean;
  Ingress: boolean;
  ConfigFrom: ConfigReference;
  ConfigOnly: boolean;
  Containers: Record<string, NetworkContainer>;
  Options: Record<string, string>;
  Labels: Record<string, string>;
  Peers?: PeerInfo[] | null | undefined;
}

export interface ConfigReference {
  Network?: string | undefined;
}

export interface IPAM {
  Driver?: string | undefined;
  Config?: IPAMConfig[] | undefined;
  Options?: Record<string, string> | undefined;
}

export interface IPAMConfig {
  Subnet?: string | undefined;
  IPRange?: string | undefined;
  Gateway?: string | undefined;
  AuxiliaryAddresses?: Record<string, string> | undefined;
}

export interface NetworkContainer {
  Name: string;
  EndpointID: string;
  MacAddress: string;
  IPv4Address: string;
  IPv6Address: string;
}

export interface PeerInfo {
  Name?: string | undefined;
  IP?: string | undefined;
}

export interface NetworkCreateResponse {
  Id?: string | undefined;
  Warning?: string | undefined;
}

export interface EndpointSettings {
  IPAMConfig?: EndpointIPAMConfig | undefined;
  Links?: string[] | undefined;
  MacAddress?: string | undefined;
  Aliases?: string[] | undefined;
  DriverOpts?: Record<string, string> | null | undefined;
  GwPriority?: number | undefined;
  NetworkID?: string | undefined;
  EndpointID?: string | undefined;
  Gateway?: string | undefined;
  IPAddress?: string | undefined;
  IPPrefixLen?: number | undefined;
  IPv6Gateway?: string | undefined;
  GlobalIPv6Address?: string | undefined;
  GlobalIPv6PrefixLen?: number | undefined;
  DNSNames?: string[] | undefined;
}

export interface EndpointIPAMConfig {
  IPv4Address?: string | undefined;
  IPv6Address?: string | undefined;
  LinkLocalIPs?: string[] | undefined;
}

/** Body of POST /networks/create. */
export interface NetworkCreateRequest {
  Name?: string | undefined;
  Driver?: string | undefined;
  Scope?: string | undefined;
  Internal?: boolean | undefined;
  Attachable?: boolean | undefined;
  Ingress?: boolean | undefined;
  ConfigOnly?: boolean | undefined;
  ConfigFrom?: ConfigReference | undefined;
  IPAM?: IPAM | undefined;
  EnableIPv4?: boolean | undefined;
  EnableIPv6?: boolean | undefined;
  Options?: Record<string, string> | undefined;
  Labels?: Record<string, string> | undefined;
}

export interface NetworkPruneResult {
  NetworksDeleted: string[] | null;
}

/** Gantry's own: GET /gantry/networks/exposure. */
export interface NetworkExposure {
  /** Base chains of the host's firewall, "ip filter INPUT", by which published ports go past. Empty when they obey them, or there are none. */
  PassedBy: string[];
  Ports: ExposedPort[];
}

export interface ExposedPort {
  ContainerID: string;
  /** Without "/". */
  ContainerName: string;
  /** "80/tcp"; "" for a container that shares the host's network. */
  Port: string;
  /** "0.0.0.0:8080", "[::1]:80", "172.18.0.2:80"; "" for a container that shares the host's network. */
  At: string;
  /**
   * anywhere  every network that the host is in
   * address   the network of that address of the host
   * route     who has a route to the container's address
   * link      the network of the host's link on which it is
   * networks  the container's own networks, and this host
   * host      this host alone
   */
  From: "anywhere" | "address" | "route" | "link" | "networks" | "host";
  /** The host's addresses ("192.0.2.2 on eth0"), its link, or the container's networks. */
  Where: string[];
  /** Whether something in the container listens there now. */
  Listens: boolean;
  /** Whether a process of the engine passes it on, so that callers look like the gateway. */
  Relayed: boolean;
}
