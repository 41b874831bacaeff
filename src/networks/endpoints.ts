/** One end of a network in a sandbox: its row, its links, and their end. */
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import type { RouteSocket } from "../kernel/netlink.ts";
import { writeSysctlInside } from "../kernel/sysctl.ts";
import { checkSettings } from "./admission.ts";
import { interfaceSysctls, newInterfaceName } from "./endpoint-options.ts";
import { type Gateways, gatewaysThrough } from "./gateways.ts";
import type { Pair } from "./namespaces.ts";
import type { Parts } from "./parts.ts";
import type { EndpointRecord, NetworkRecord, SandboxConfig, SandboxRecord } from "./records.ts";
import type { Registry } from "./registry.ts";
import { dnsNames, endpointView } from "./views.ts";

export interface AssignRequest {
  readonly sandbox: SandboxRecord;
  readonly network: NetworkRecord;
  readonly wished: EndpointSettings;
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

  /** Chooses addresses and writes the row; within a transaction, after whose failure `ipam.released` is called. */
  assign({ sandbox, network, wished, present, hostLink, joined }: AssignRequest): EndpointRecord {
    checkSettings(network, wished);
    const driver = this.#registry.driverOf(network);
    const id = newId();
    const assigned = driver.assign({ network, endpointId: id, wished });
    const record = {
      id,
      containerId: sandbox.containerId,
      networkId: network.id,
      networkName: network.name,
      position: present.reduce((highest, { position }) => Math.max(highest, position + 1), 0),
      interface: driver.wired ? newInterfaceName(wished, network, present) : "",
      hostLink: driver.wired ? (hostLink ?? this.#parts.namespaces.newLinkName()) : "",
      settings: endpointView(
        { ...wished, DNSNames: dnsNames({ ...sandbox.config, ...sandbox }, network, wished) },
        { ...assigned, NetworkID: network.id, EndpointID: id },
      ),
      joined,
    };
    this.#parts.records.putEndpoint(record);
    return record;
  }

  /** Its interface is in the sandbox and works. */
  join({ sandbox, endpoint, gateways, inside, pair }: JoinRequest): void {
    const network = this.#networkOf(endpoint);
    const netns = this.#parts.namespaces.path(sandbox.sandboxId);
    this.#registry.driverOf(network).join({
      network,
      endpoint,
      netns,
      inside,
      name: endpoint.interface,
      pair: pair?.hostLink === endpoint.hostLink ? pair : undefined,
      gateways: gatewaysThrough(endpoint, gateways),
      published: publishes(sandbox.config),
    });
    for (const [name, value] of interfaceSysctls(endpoint)) setParameter(netns, name, value);
  }

  /** Nothing reaches it any more, so that its address can be given away. */
  leave(endpoint: EndpointRecord): void {
    const network = this.#parts.records.network(endpoint.networkId);
    if (network !== undefined) this.#registry.driverOf(network).leave(endpoint);
  }

  /** Its link is gone, while the sandbox lives on. Never rejects: what fails is done by the next start. */
  async discard(endpoint: EndpointRecord): Promise<void> {
    const { records, logger } = this.#parts;
    const network = records.network(endpoint.networkId);
    if (network === undefined) return;
    await this.#registry
      .driverOf(network)
      .discard(endpoint)
      .catch((error) =>
        logger.log("warn", "a container's link could not be removed", {
          endpoint: endpoint.id,
          error: errorMessage(error),
        }),
      );
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

  #networkOf({ networkId }: EndpointRecord): NetworkRecord {
    const network = this.#parts.records.network(networkId);
    if (network === undefined) throw new EngineError("not-found", `network ${networkId} not found`);
    return network;
  }
}

function setParameter(netns: string, name: string, value: string): void {
  try {
    writeSysctlInside(netns, name, value);
  } catch (cause) {
    throw new EngineError(
      "invalid",
      `failed to set the endpoint's sysctl ${name} to ${value}: ${errorMessage(cause)}`,
      {
        cause,
      },
    );
  }
}

/** Whether the sandbox asks for published ports, by which it may call itself. */
function publishes({ portBindings, publishAll }: SandboxConfig): boolean {
  return Object.keys(portBindings).length + publishAll.length > 0;
}
