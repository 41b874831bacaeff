/** The rows of networks, sandboxes and endpoints as values. Nothing else here: no rules, no kernel. */

import type { PortMap } from "../api/types/container.ts";
import type { EndpointSettings, IPAMConfig } from "../api/types/network.ts";
import type { Store } from "../store/store.ts";

export interface NetworkConfig {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly internal: boolean;
  readonly attachable: boolean;
  /** Complete: every subnet with its gateway. */
  readonly subnets: readonly IPAMConfig[];
  /** Whether the user named the subnets; static addresses need that. */
  readonly ownSubnets: boolean;
  readonly ipamDriver: string;
  readonly ipamOptions: Readonly<Record<string, string>> | undefined;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** The bridge; "" for drivers without one. */
  readonly link: string;
  /** Whether a bridge that someone else made may serve. */
  readonly adopt: boolean;
  readonly predefined: boolean;
  /** Its driver has not said yet that it is made. */
  readonly incomplete?: boolean | undefined;
  /** It configures others and is none itself; its subnets are what was asked for. */
  readonly configOnly?: boolean | undefined;
  /** The network that configured it. */
  readonly configFrom?: string | undefined;
  /** Subnet → id at the IPAM plug-in. */
  readonly pools?: Readonly<Record<string, string>> | undefined;
}

export interface NetworkRecord extends NetworkConfig {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  /** RFC 3339. */
  readonly created: string;
}

/** What a sandbox was asked to be, as far as it matters later: when its networks change, and for the next engine. */
export interface SandboxConfig {
  readonly hostname: string;
  readonly portBindings: PortMap;
  readonly publishAll: readonly string[];
  readonly exposedPorts: readonly string[];
  /** Name servers that the user named; the host's are asked when there are none. */
  readonly dns: readonly string[];
  /** Whether the user said how many dots a name must have. */
  readonly ndots: boolean;
}

export interface SandboxRecord {
  readonly containerId: string;
  readonly sandboxId: string;
  /** The container's. */
  readonly name: string;
  /** Whether it has a namespace of its own; the host's otherwise. */
  readonly ownNetns: boolean;
  readonly ports: PortMap;
  readonly config: SandboxConfig;
  /** Where its name server listens; 0 when it has none. */
  readonly dnsPort: number;
}

export interface EndpointRecord {
  readonly id: string;
  readonly containerId: string;
  readonly networkId: string;
  /** The key under which the container knows the network. */
  readonly networkName: string;
  /** 0, 1, …: the order in which they were joined. */
  readonly position: number;
  /** Its name inside: "eth0". */
  readonly interface: string;
  /** The end on the host's side; "" without one. */
  readonly hostLink: string;
  readonly settings: EndpointSettings;
  /** False while it is being made or taken away in a running sandbox. */
  readonly joined: boolean;
}

export type Protocol = "tcp" | "udp" | "sctp";

export interface PortRecord {
  readonly protocol: Protocol;
  readonly hostIp: string;
  readonly hostPort: number;
  readonly endpointId: string;
  readonly containerIp: string;
  readonly containerPort: number;
}

/** A container port that may be reached at the container's own address. */
export interface OpenPort {
  readonly protocol: Protocol;
  readonly containerIp: string;
  readonly containerPort: number;
  readonly endpointId: string;
}

type Row = Readonly<Record<string, string & number>>;

const NETWORK = "SELECT id, name, driver, created, config FROM networks";
const SANDBOX = "SELECT container_id, sandbox_id, name, own_netns, ports, config, dns_port FROM sandboxes";
const ENDPOINT =
  "SELECT id, container_id, network_id, network_name, position, host_link, settings, joined, interface FROM endpoints";
const PORT = "SELECT protocol, host_ip, host_port, endpoint_id, container_ip, container_port FROM ports";

const OPENED = "SELECT protocol, container_ip, container_port, endpoint_id FROM opened";

export class Records {
  readonly #store: Store;
  /** Grows with every change of networks, sandboxes and endpoints. */
  version = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  networks(): NetworkRecord[] {
    return this.#store.all<Row>(`${NETWORK} ORDER BY created, name`).map(networkOf);
  }

  network(id: string): NetworkRecord | undefined {
    return this.#store.all<Row>(`${NETWORK} WHERE id = ?`, id).map(networkOf)[0];
  }

  networkByName(name: string): NetworkRecord | undefined {
    return this.#store.all<Row>(`${NETWORK} WHERE name = ?`, name).map(networkOf)[0];
  }

  networksByPrefix(prefix: string): NetworkRecord[] {
    return this.#store.all<Row>(`${NETWORK} WHERE substr(id, 1, ?) = ?`, prefix.length, prefix).map(networkOf);
  }

  putNetwork({ id, name, driver, created, ...config }: NetworkRecord): void {
    this.version++;
    this.#store.run(
      "INSERT INTO networks (id, name, driver, created, config) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET config = excluded.config",
      id,
      name,
      driver,
      created,
      JSON.stringify(config),
    );
  }

  deleteNetwork(id: string): void {
    this.version++;
    this.#store.run("DELETE FROM networks WHERE id = ?", id);
  }

  sandboxes(): SandboxRecord[] {
    return this.#store.all<Row>(SANDBOX).map(sandboxOf);
  }

  sandbox(containerId: string): SandboxRecord | undefined {
    return this.#store.all<Row>(`${SANDBOX} WHERE container_id = ?`, containerId).map(sandboxOf)[0];
  }

  putSandbox({ containerId, sandboxId, name, ownNetns, ports, config }: SandboxRecord): void {
    this.version++;
    this.#store.run(
      `INSERT INTO sandboxes (container_id, sandbox_id, name, own_netns, ports, config) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (container_id) DO UPDATE SET ports = excluded.ports, name = excluded.name`,
      containerId,
      sandboxId,
      name,
      ownNetns ? 1 : 0,
      JSON.stringify(ports),
      JSON.stringify(config),
    );
  }

  setDnsPort(containerId: string, port: number): void {
    this.#store.run("UPDATE sandboxes SET dns_port = ? WHERE container_id = ?", port, containerId);
  }

  /** With its endpoints, their addresses and ports. */
  deleteSandbox(containerId: string): void {
    this.version++;
    this.#store.run("DELETE FROM sandboxes WHERE container_id = ?", containerId);
  }

  endpoints(): EndpointRecord[] {
    return this.#store.all<Row>(ENDPOINT).map(endpointOf);
  }

  endpointsOfContainer(containerId: string): EndpointRecord[] {
    return this.#store.all<Row>(`${ENDPOINT} WHERE container_id = ? ORDER BY position`, containerId).map(endpointOf);
  }

  /** With the container's name. */
  endpointsOfNetwork(networkId: string): (EndpointRecord & { containerName: string })[] {
    return this.#store
      .all<Row>(
        "SELECT e.id, e.container_id, e.network_id, e.network_name, e.position, e.host_link, e.settings, e.joined, e.interface, s.name FROM endpoints e JOIN sandboxes s USING (container_id) WHERE e.network_id = ?",
        networkId,
      )
      .map((row) => ({ ...endpointOf(row), containerName: row.name ?? "" }));
  }

  putEndpoint(endpoint: EndpointRecord): void {
    const { id, containerId, networkId, networkName, position, hostLink, settings, joined } = endpoint;
    this.version++;
    this.#store.run(
      `INSERT INTO endpoints (id, container_id, network_id, network_name, position, host_link, settings, joined, interface)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET settings = excluded.settings, joined = excluded.joined,
         host_link = excluded.host_link, interface = excluded.interface`,
      id,
      containerId,
      networkId,
      networkName,
      position,
      hostLink,
      JSON.stringify(settings),
      joined ? 1 : 0,
      endpoint.interface,
    );
  }

  deleteEndpoint(id: string): void {
    this.version++;
    this.#store.run("DELETE FROM endpoints WHERE id = ?", id);
  }

  ports(): PortRecord[] {
    return this.#store.all<Row>(PORT).map(portOf);
  }

  portsOfContainer(containerId: string): PortRecord[] {
    const ofContainer = "endpoint_id IN (SELECT id FROM endpoints WHERE container_id = ?)";
    return this.#store.all<Row>(`${PORT} WHERE ${ofContainer}`, containerId).map(portOf);
  }

  portsAt(protocol: Protocol, hostPort: number): PortRecord[] {
    return this.#store.all<Row>(`${PORT} WHERE protocol = ? AND host_port = ?`, protocol, hostPort).map(portOf);
  }

  putPort({ protocol, hostIp, hostPort, endpointId, containerIp, containerPort }: PortRecord): void {
    this.#store.run(
      "INSERT INTO ports (protocol, host_ip, host_port, endpoint_id, container_ip, container_port) VALUES (?, ?, ?, ?, ?, ?)",
      protocol,
      hostIp,
      hostPort,
      endpointId,
      containerIp,
      containerPort,
    );
  }

  /** The same host port, for another endpoint of its container. */
  movePort({ protocol, hostIp, hostPort, endpointId, containerIp }: PortRecord): void {
    this.#store.run(
      "UPDATE ports SET endpoint_id = ?, container_ip = ? WHERE protocol = ? AND host_port = ? AND host_ip = ?",
      endpointId,
      containerIp,
      protocol,
      hostPort,
      hostIp,
    );
  }

  deletePort({ protocol, hostIp, hostPort }: PortRecord): void {
    this.#store.run(
      "DELETE FROM ports WHERE protocol = ? AND host_port = ? AND host_ip = ?",
      protocol,
      hostPort,
      hostIp,
    );
  }

  opened(): OpenPort[] {
    return this.#store.all<Row>(OPENED).map(openOf);
  }

  openedOfContainer(containerId: string): OpenPort[] {
    const ofContainer = "endpoint_id IN (SELECT id FROM endpoints WHERE container_id = ?)";
    return this.#store.all<Row>(`${OPENED} WHERE ${ofContainer}`, containerId).map(openOf);
  }

  putOpened({ protocol, containerIp, containerPort, endpointId }: OpenPort): void {
    this.#store.run(
      "INSERT OR REPLACE INTO opened (protocol, container_ip, container_port, endpoint_id) VALUES (?, ?, ?, ?)",
      protocol,
      containerIp,
      containerPort,
      endpointId,
    );
  }

  deleteOpened({ protocol, containerIp, containerPort }: OpenPort): void {
    this.#store.run(
      "DELETE FROM opened WHERE container_ip = ? AND protocol = ? AND container_port = ?",
      containerIp,
      protocol,
      containerPort,
    );
  }

  fact(name: string): string | undefined {
    return this.#store.get<{ value: string }>("SELECT value FROM network_facts WHERE name = ?", name)?.value;
  }

  putFact(name: string, value: string): void {
    this.#store.run("INSERT OR REPLACE INTO network_facts (name, value) VALUES (?, ?)", name, value);
  }

  transaction<T>(work: () => T): T {
    return this.#store.transaction(work);
  }
}

function networkOf(row: Row): NetworkRecord {
  const config = JSON.parse(row.config ?? "{}") as NetworkConfig;
  return { id: row.id ?? "", name: row.name ?? "", driver: row.driver ?? "", created: row.created ?? "", ...config };
}

const NO_CONFIG: SandboxConfig = {
  hostname: "",
  portBindings: {},
  publishAll: [],
  exposedPorts: [],
  dns: [],
  ndots: false,
};

function sandboxOf(row: Row): SandboxRecord {
  return {
    containerId: row.container_id ?? "",
    sandboxId: row.sandbox_id ?? "",
    name: row.name ?? "",
    ownNetns: row.own_netns === 1,
    ports: JSON.parse(row.ports ?? "{}") as PortMap,
    dnsPort: row.dns_port ?? 0,
    config: { ...NO_CONFIG, ...(JSON.parse(row.config ?? "{}") as Partial<SandboxConfig>) },
  };
}

function endpointOf(row: Row): EndpointRecord {
  return {
    id: row.id ?? "",
    containerId: row.container_id ?? "",
    networkId: row.network_id ?? "",
    networkName: row.network_name ?? "",
    position: row.position ?? 0,
    hostLink: row.host_link ?? "",
    settings: JSON.parse(row.settings ?? "{}") as EndpointSettings,
    joined: row.joined !== 0,
    interface: row.interface || `eth${row.position ?? 0}`,
  };
}

function portOf(row: Row): PortRecord {
  return {
    protocol: (row.protocol ?? "tcp") as Protocol,
    hostIp: row.host_ip ?? "",
    hostPort: row.host_port ?? 0,
    endpointId: row.endpoint_id ?? "",
    containerIp: row.container_ip ?? "",
    containerPort: row.container_port ?? 0,
  };
}

function openOf(row: Row): OpenPort {
  return {
    protocol: (row.protocol ?? "tcp") as Protocol,
    containerIp: row.container_ip ?? "",
    containerPort: row.container_port ?? 0,
    endpointId: row.endpoint_id ?? "",
  };
}
