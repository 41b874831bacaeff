/** Sandboxes: opened, closed, and changed while their containers run. */
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { newId, shortId } from "../base/ids.ts";
import { KeyedLock } from "../base/locks.ts";
import { RouteSocket } from "../kernel/netlink.ts";
import { OPTION } from "./bridges.ts";
import type { ReadyNamespace } from "./namespaces.ts";
import type { Sandbox, SandboxRequest } from "./networks.ts";
import type { Parts } from "./parts.ts";
import type { EndpointRecord, NetworkRecord, SandboxRecord } from "./records.ts";
import type { Registry } from "./registry.ts";
import { dnsNames, endpointView } from "./views.ts";

/** A network that the container asked for, under the name by which it did. */
interface Wanted {
  readonly key: string;
  readonly network: NetworkRecord;
  readonly wished: EndpointSettings;
}

export class Sandboxes {
  readonly #parts: Parts;
  readonly #registry: Registry;
  /** By container: what is done to one sandbox is done one after another. */
  readonly #lock = new KeyedLock();

  constructor(parts: Parts, registry: Registry) {
    this.#parts = parts;
    this.#registry = registry;
  }

  find(containerId: string): Sandbox | undefined {
    const record = this.#parts.records.sandbox(containerId);
    if (record === undefined) return undefined;
    const endpoints = this.#parts.records.endpointsOfContainer(containerId);
    return {
      netns: record.ownNetns ? this.#parts.namespaces.path(record.sandboxId) : undefined,
      sandboxId: record.sandboxId,
      endpoints: Object.fromEntries(endpoints.map(({ networkName, settings }) => [networkName, settings])),
      ports: record.ports,
    };
  }

  open(request: SandboxRequest): Promise<Sandbox> {
    return this.#lock.run(request.containerId, async () => {
      // A container that is started again after its engine was killed may have one still.
      await this.#close(request.containerId);
      const wanted = this.#wanted(request);
      const own = wanted.every(({ network }) => this.#registry.driverOf(network).ownNetns);
      if (!own && wanted.length > 1)
        throw new EngineError("invalid", "conflicting options: host type networking can't be used with other networks");
      const wired = wanted.some(({ network }) => this.#registry.driverOf(network).wired);
      const namespace = own ? await this.#parts.namespaces.take(wired ? "wired" : "bare") : undefined;
      try {
        await this.#build(request, wanted, namespace);
      } catch (error) {
        await this.#close(request.containerId);
        if (namespace !== undefined) this.#parts.namespaces.remove(namespace.sandboxId);
        throw error;
      } finally {
        namespace?.socket.close();
      }
      const sandbox = this.find(request.containerId);
      if (sandbox === undefined)
        throw new EngineError("internal", `the sandbox of container ${request.containerId} is gone`);
      return sandbox;
    });
  }

  /** The primary network first: its interface is eth0. */
  #wanted({ endpoints, primary }: SandboxRequest): Wanted[] {
    const keys = Object.keys(endpoints).sort(
      (a, b) => Number(b === primary) - Number(a === primary) || (a < b ? -1 : 1),
    );
    if (keys.length === 0) throw new EngineError("invalid", "a sandbox needs at least one network");
    return keys.map((key) => ({ key, network: this.#registry.find(key), wished: endpoints[key] ?? {} }));
  }

  async #build(
    request: SandboxRequest,
    wanted: readonly Wanted[],
    namespace: ReadyNamespace | undefined,
  ): Promise<void> {
    const { records, ipam } = this.#parts;
    const sandbox: SandboxRecord = {
      containerId: request.containerId,
      sandboxId: namespace?.sandboxId ?? newId(),
      name: request.name,
      ownNetns: namespace !== undefined,
      ports: {},
    };
    let endpoints: EndpointRecord[];
    try {
      endpoints = records.transaction(() => {
        records.putSandbox(sandbox);
        return wanted.map((want, position) => this.#assign(request, want, position, namespace));
      });
    } catch (error) {
      ipam.released();
      throw error;
    }
    for (const [position, { network }] of wanted.entries()) {
      const endpoint = endpoints[position];
      if (endpoint !== undefined && namespace !== undefined) this.#join(request, network, endpoint, namespace);
    }
    await this.#publish(request, sandbox, wanted[0], endpoints[0]);
    for (const { network } of wanted) this.#announce("connect", network.id, request.containerId);
  }

  #assign(
    request: SandboxRequest,
    { key, network, wished }: Wanted,
    position: number,
    namespace: ReadyNamespace | undefined,
  ): EndpointRecord {
    const driver = this.#registry.driverOf(network);
    const endpointId = newId();
    const macAddress = position === 0 ? request.macAddress : undefined;
    const assigned = driver.assign({ network, endpointId, wished, macAddress });
    const settings = endpointView(
      { ...wished, DNSNames: dnsNames(request, network, wished) },
      { ...assigned, NetworkID: network.id, EndpointID: endpointId },
    );
    const ready = position === 0 ? namespace?.pair?.hostLink : undefined;
    const hostLink = driver.wired ? (ready ?? this.#parts.namespaces.newLinkName()) : "";
    const record = {
      id: endpointId,
      containerId: request.containerId,
      networkId: network.id,
      networkName: key,
      position,
      hostLink,
      settings,
    };
    this.#parts.records.putEndpoint(record);
    return record;
  }

  #join(request: SandboxRequest, network: NetworkRecord, endpoint: EndpointRecord, namespace: ReadyNamespace): void {
    const { path, socket, pair } = namespace;
    const isGateway = endpoint.position === 0;
    const published = isGateway && Object.keys(request.portBindings).length + request.publishAll.length > 0;
    const ready = pair?.hostLink === endpoint.hostLink ? pair : undefined;
    this.#registry
      .driverOf(network)
      .join({ network, endpoint, netns: path, socket, pair: ready, isGateway, published });
  }

  async #publish(
    request: SandboxRequest,
    sandbox: SandboxRecord,
    want: Wanted | undefined,
    endpoint: EndpointRecord | undefined,
  ): Promise<void> {
    const { ports, firewall, records, settings, logger } = this.#parts;
    if (want === undefined || endpoint === undefined || endpoint.hostLink === "") return;
    const { portBindings, publishAll, exposedPorts } = want.network.internal
      ? { ...request, portBindings: {}, publishAll: [] }
      : request;
    if (Object.keys(portBindings).length + publishAll.length + exposedPorts.length === 0) return;
    try {
      const defaultIp = want.network.options[OPTION.hostIp] || settings.ip;
      const { records: published, map } = await ports.publish({
        endpointId: endpoint.id,
        settings: endpoint.settings,
        portBindings,
        publishAll,
        exposedPorts,
        defaultIp,
      });
      records.putSandbox({ ...sandbox, ports: map });
      if (published.length === 0) return;
      if (firewall === undefined)
        logger.log("warn", "ports are not reachable: the daemon must not set up the firewall", {
          container: request.containerId,
        });
      await firewall?.change({ add: published });
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind !== "internal") throw error;
      const where = `failed to set up container networking: driver failed programming external connectivity on endpoint ${request.name} (${endpoint.id})`;
      throw new EngineError(error.kind, `${where}: ${error.message}`, { hint: error.hint, cause: error });
    }
  }

  close(containerId: string): Promise<void> {
    return this.#lock.run(containerId, () => this.#close(containerId));
  }

  async #close(containerId: string): Promise<void> {
    const { records, ipam, namespaces } = this.#parts;
    const sandbox = records.sandbox(containerId);
    if (sandbox === undefined) return;
    const endpoints = records.endpointsOfContainer(containerId);
    for (const endpoint of endpoints) await this.#detach(endpoint, { wait: false });
    records.deleteSandbox(containerId);
    ipam.released();
    if (sandbox.ownNetns) setImmediate(() => namespaces.remove(sandbox.sandboxId));
    for (const { networkId } of endpoints) this.#announce("disconnect", networkId, containerId);
  }

  /** The endpoint's ports are closed and nothing reaches it any more, so that its address can be given away. */
  async #detach(endpoint: EndpointRecord, how: { wait: boolean }): Promise<void> {
    const { records, ports, firewall, logger } = this.#parts;
    const published = records.portsOfEndpoint(endpoint.id);
    ports.release(endpoint.id, published);
    try {
      if (published.length > 0) await firewall?.change({ remove: published });
    } catch (error) {
      logger.log("error", "rules of published ports could not be removed", {
        endpoint: endpoint.id,
        error: errorMessage(error),
      });
    }
    const network = records.network(endpoint.networkId);
    if (network !== undefined) this.#registry.driverOf(network).leave(endpoint, how);
  }

  connect(name: string, containerId: string, wished: EndpointSettings): Promise<void> {
    return this.#lock.run(containerId, async () => {
      const { records, namespaces, ipam } = this.#parts;
      const network = this.#registry.find(name);
      const sandbox = records.sandbox(containerId);
      if (sandbox === undefined) throw new EngineError("conflict", `container ${shortId(containerId)} is not running`);
      const present = records.endpointsOfContainer(containerId);
      if (present.some(({ networkId }) => networkId === network.id))
        throw new EngineError(
          "forbidden",
          `endpoint with name ${sandbox.name} already exists in network ${network.name}`,
        );
      const driver = this.#registry.driverOf(network);
      if (!sandbox.ownNetns || !driver.ownNetns)
        throw new EngineError(
          "invalid",
          "container sharing network namespace with another container or host cannot be connected to any other network",
        );
      const names = { name: sandbox.name, hostname: "", containerId };
      const position = present.reduce((highest, { position }) => Math.max(highest, position + 1), 0);
      const path = namespaces.path(sandbox.sandboxId);
      const socket = new RouteSocket(path);
      try {
        const endpoint = records.transaction(() =>
          this.#assign({ ...EMPTY, ...names }, { key: network.name, network, wished }, position, undefined),
        );
        const isGateway = !present.some(({ settings }) => settings.Gateway);
        driver.join({ network, endpoint, netns: path, socket, isGateway, published: false });
      } catch (error) {
        await this.#drop(records.endpointsOfContainer(containerId).find(({ networkId }) => networkId === network.id));
        ipam.released();
        throw error;
      } finally {
        socket.close();
      }
      this.#announce("connect", network.id, containerId);
    });
  }

  disconnect(name: string, containerId: string, force: boolean): Promise<void> {
    return this.#lock.run(containerId, async () => {
      const { records } = this.#parts;
      const network = this.#registry.find(name);
      const endpoint = records.endpointsOfContainer(containerId).find(({ networkId }) => networkId === network.id);
      if (endpoint === undefined) {
        if (force) return;
        throw new EngineError("forbidden", `container ${containerId} is not connected to network ${network.name}`);
      }
      if (!this.#registry.driverOf(network).ownNetns)
        throw new EngineError(
          "forbidden",
          "container cannot be disconnected from host network or connected to host network",
        );
      await this.#drop(endpoint);
      this.#announce("disconnect", network.id, containerId);
    });
  }

  async #drop(endpoint: EndpointRecord | undefined): Promise<void> {
    if (endpoint === undefined) return;
    await this.#detach(endpoint, { wait: true });
    this.#parts.records.deleteEndpoint(endpoint.id);
    this.#parts.ipam.released();
  }

  #announce(action: "connect" | "disconnect", networkId: string, containerId: string): void {
    const network = this.#parts.records.network(networkId);
    if (network === undefined) return;
    const attributes = { container: containerId, name: network.name, type: network.driver };
    this.#parts.events.publish({ type: "network", action, id: network.id, attributes });
  }
}

const EMPTY = {
  domainname: "",
  endpoints: {},
  primary: "",
  portBindings: {},
  publishAll: [],
  exposedPorts: [],
} as const;
