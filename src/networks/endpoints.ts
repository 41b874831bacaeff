/** One end of a network in a sandbox: its row, its links, and their end. */
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import type { RouteSocket } from "../kernel/netlink.ts";
import { writeSysctlInside } from "../kernel/sysctl.ts";
import { checkSettings } from "./admission.ts";
import { assign } from "./assign.ts";
import type { Driver, EndpointPlace } from "./driver.ts";
import { interfaceSysctls, newInterfaceName } from "./endpoint-options.ts";
import { type Gateways, gatewaysThrough } from "./gateways.ts";
import type { Pair } from "./namespaces.ts";
import type { Parts } from "./parts.ts";
import type { EndpointRecord, NetworkRecord, SandboxConfig, SandboxRecord } from "./records.ts";
import type { Registry } from "./registry.ts";
import { isRemoteIpam, type Lease } from "./remote-ipam.ts";
import { dnsNames, endpointView } from "./views.ts";

export interface AssignRequest {
  readonly sandbox: SandboxRecord;
  readonly network: NetworkRecord;
  readonly lease: Lease;
  /** The sandbox's other endpoints. */
  readonly present: readonly EndpointRecord[];
  /** The host's end of a pair made ahead. */
  readonly hostLink?: string | undefined;
  readonly joined: boolean;
}

export interface JoinRequest {
  readonly sandbox: SandboxRecord;
  readonly endpoint: EndpointRecord;
  readonly gateways: Gateways;
  /** Inside the sandbox. */
  readonly inside: RouteSocket;
  readonly pair?: Pair | undefined;
}

export class Endpoints {
  readonly #parts: Parts;
  readonly #registry: Registry;

  constructor(parts: Parts, registry: Registry) {
    this.#parts = parts;
    this.#registry = registry;
  }

  /** What must be asked of others before the row is written; given back by `giveBack` when it is not. "invalid" for wishes that cannot be. */
  async lease(network: NetworkRecord, wished: EndpointSettings): Promise<Lease> {
    this.#registry.refuseBusy(network);
    checkSettings(network, wished);
    return isRemoteIpam(network.ipamDriver)
      ? this.#parts.remoteIpam.lease(network, wished)
      : { wished, leased: {}, debts: [] };
  }

  async giveBack(lease: Lease): Promise<void> {
    await this.#parts.remoteIpam.giveBack(lease);
  }

  /** Chooses addresses and writes the row; within a transaction, after whose failure `ipam.released` is called. */
  assign({ sandbox, network, lease, present, hostLink, joined }: AssignRequest): EndpointRecord {
    const { ipam, namespaces, records } = this.#parts;
    const { wished, leased } = lease;
    const { wired, paired } = this.#registry.driverOf(network);
    const id = newId();
    const assigned = wired ? assign(ipam, { network, endpointId: id, wished, leased }) : {};
    const record = {
      id,
      containerId: sandbox.containerId,
      networkId: network.id,
      networkName: network.name,
      position: present.reduce((highest, { position }) => Math.max(highest, position + 1), 0),
      interface: wired ? newInterfaceName(wished, network, present) : "",
      hostLink: paired ? (hostLink ?? namespaces.newLinkName()) : "",
      settings: endpointView(
        { ...wished, DNSNames: dnsNames({ ...sandbox.config, ...sandbox }, network, wished) },
        { ...assigned, NetworkID: network.id, EndpointID: id },
      ),
      joined,
    };
    records.putEndpoint(record);
    this.#parts.debts.strike(lease.debts);
    return record;
  }

  /** The endpoint as its driver wants it; before gateways are chosen. */
  async prepare(
    sandbox: SandboxRecord,
    endpoint: EndpointRecord,
    present: readonly EndpointRecord[],
  ): Promise<EndpointRecord> {
    const place = this.#placeOf(sandbox, endpoint);
    const prepared = await place?.driver.prepare?.(place);
    if (place === undefined || prepared === undefined) return endpoint;
    const { settings, hostLink, interfacePrefix } = prepared;
    const options = interfacePrefix === undefined ? place.network.options : { [PREFIX]: interfacePrefix };
    const others = present.filter(({ id }) => id !== endpoint.id);
    const changed = {
      ...endpoint,
      hostLink,
      interface: newInterfaceName(endpoint.settings, { options }, others),
      settings: { ...endpoint.settings, ...settings },
    };
    this.#parts.records.putEndpoint(changed);
    return changed;
  }

  /** Its interface is in the sandbox and works. */
  async join({ sandbox, endpoint, gateways, inside, pair }: JoinRequest): Promise<void> {
    const place = this.#placeOf(sandbox, endpoint);
    if (place === undefined) throw new EngineError("not-found", `network ${endpoint.networkId} not found`);
    await place.driver.join({
      ...place,
      inside,
      pair: pair?.hostLink === endpoint.hostLink ? pair : undefined,
      gateways: gatewaysThrough(endpoint, gateways),
      published: publishes(sandbox.config),
    });
    for (const [name, value] of interfaceSysctls(endpoint)) setParameter(place.netns, name, value);
  }

  /** Nothing reaches it any more, so that its address can be given away. Never rejects: what fails is told. */
  async leave(sandbox: SandboxRecord, endpoint: EndpointRecord): Promise<void> {
    const { records, remoteIpam } = this.#parts;
    const place = this.#placeOf(sandbox, endpoint);
    if (place === undefined || !place.driver.wired) return;
    try {
      await place.driver.leave(place);
    } catch (error) {
      this.#complain("a container could not be cut off from its network", endpoint, error);
    }
    const network = records.network(endpoint.networkId);
    if (network === undefined || !isRemoteIpam(network.ipamDriver)) return;
    // The row has them no more once they are owed: whatever a kill comes between, they go back once.
    const debts = records.transaction(() => {
      const settings = { ...endpoint.settings, IPAddress: "", GlobalIPv6Address: "" };
      records.putEndpoint({ ...endpoint, settings, joined: false });
      return remoteIpam.owe(network, endpoint.settings);
    });
    await remoteIpam.giveBack({ debts });
  }

  /** Its link is gone, while the sandbox lives on. Never rejects: what fails is done by the next start. */
  async discard(sandbox: SandboxRecord, endpoint: EndpointRecord): Promise<void> {
    const place = this.#placeOf(sandbox, endpoint);
    await place?.driver
      .discard(place)
      .catch((error) => this.#complain("a container's link could not be removed", endpoint, error));
  }

  /** Whether containers of its network find each other by name. */
  hasNames({ networkId }: EndpointRecord): boolean {
    const network = this.#parts.records.network(networkId);
    return network !== undefined && !network.predefined && this.#registry.driverOf(network).wired;
  }

  announce(action: "connect" | "disconnect", { networkId, containerId }: EndpointRecord): void {
    const network = this.#parts.records.network(networkId);
    if (network === undefined) return;
    const attributes = { container: containerId, name: network.name, type: network.driver };
    this.#parts.events.publish({ type: "network", action, id: network.id, attributes });
  }

  #placeOf(sandbox: SandboxRecord, endpoint: EndpointRecord): (EndpointPlace & { driver: Driver }) | undefined {
    const network = this.#parts.records.network(endpoint.networkId);
    if (network === undefined) return undefined;
    const netns = this.#parts.namespaces.path(sandbox.sandboxId);
    return { network, endpoint, sandbox, netns, driver: this.#registry.driverOf(network) };
  }

  #complain(message: string, { id }: EndpointRecord, error: unknown): void {
    this.#parts.logger.log("warn", message, { endpoint: id, error: errorMessage(error) });
  }
}

const PREFIX = "com.docker.network.container_iface_prefix";

function setParameter(netns: string, name: string, value: string): void {
  try {
    writeSysctlInside(netns, name, value);
  } catch (cause) {
    throw new EngineError(
      "invalid",
      `failed to set the endpoint's sysctl ${name} to ${value}: ${errorMessage(cause)}`,
      { cause },
    );
  }
}

/** Whether the sandbox asks for published ports, by which it may call itself. */
function publishes({ portBindings, publishAll }: SandboxConfig): boolean {
  return Object.keys(portBindings).length + publishAll.length > 0;
}
