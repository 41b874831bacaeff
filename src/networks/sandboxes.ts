/** Sandboxes: opened, closed, found again, and changed while their containers run. */
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { KeyedLock } from "../base/locks.ts";
import { Endpoints } from "./endpoints.ts";
import { isDots } from "./files.ts";
import { chooseGateways } from "./gateways.ts";
import { Membership } from "./membership.ts";
import type { ReadyNamespace } from "./namespaces.ts";
import type { Sandbox, SandboxRequest } from "./networks.ts";
import type { Parts } from "./parts.ts";
import { Published } from "./published.ts";
import type { EndpointRecord, NetworkRecord, SandboxRecord } from "./records.ts";
import type { Registry } from "./registry.ts";
import type { Lease } from "./remote-ipam.ts";
import { dnsNames } from "./views.ts";

interface Wanted {
  readonly network: NetworkRecord;
  readonly wished: EndpointSettings;
}

export class Sandboxes {
  readonly #parts: Parts;
  readonly #registry: Registry;
  readonly #endpoints: Endpoints;
  readonly #published: Published;
  readonly #membership: Membership;
  /** By container: what is done to one sandbox is done one after another. */
  readonly #lock = new KeyedLock();

  constructor(parts: Parts, registry: Registry) {
    this.#parts = parts;
    this.#registry = registry;
    this.#endpoints = new Endpoints(parts, registry);
    this.#published = new Published(parts);
    this.#membership = new Membership(parts, this.#endpoints, this.#published);
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
      dns: record.ownNetns && endpoints.some((endpoint) => this.#endpoints.hasNames(endpoint)),
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
      // A pair that was made ahead is the first endpoint's.
      const paired = wanted[0] !== undefined && this.#registry.driverOf(wanted[0].network).paired;
      const namespace = own ? await this.#parts.namespaces.take(paired ? "wired" : "bare") : undefined;
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

  /** The primary network first: its interface is eth0. A network that goes by two names counts once. */
  #wanted({ endpoints, primary, macAddress }: SandboxRequest): Wanted[] {
    const keys = Object.keys(endpoints).sort(
      (a, b) => Number(b === primary) - Number(a === primary) || (a < b ? -1 : 1),
    );
    if (keys.length === 0) throw new EngineError("invalid", "a sandbox needs at least one network");
    const wanted = new Map<string, Wanted>();
    for (const key of keys) {
      const network = this.#registry.find(key);
      const mac = key === primary ? { MacAddress: macAddress || endpoints[key]?.MacAddress } : {};
      const wished = { ...endpoints[key], ...mac };
      if (!wanted.has(network.id)) wanted.set(network.id, { network, wished });
    }
    return [...wanted.values()];
  }

  async #build(
    request: SandboxRequest,
    wanted: readonly Wanted[],
    namespace: ReadyNamespace | undefined,
  ): Promise<void> {
    const { containerId, name, hostname, portBindings, publishAll, exposedPorts } = request;
    const ndots = (request.dnsOptions ?? []).some(isDots);
    const sandbox: SandboxRecord = {
      containerId,
      sandboxId: namespace?.sandboxId ?? newId(),
      name,
      ownNetns: namespace !== undefined,
      ports: {},
      config: { hostname, portBindings, publishAll, exposedPorts, dns: request.dns ?? [], ndots },
      dnsPort: 0,
    };
    let endpoints = await this.#assign(sandbox, wanted, namespace);
    if (namespace !== undefined) {
      const { socket: inside, pair } = namespace;
      endpoints = await this.#prepare(sandbox, endpoints);
      const named = endpoints.some((endpoint) => this.#endpoints.hasNames(endpoint));
      const dns = named ? this.#parts.dns.start(sandbox) : undefined;
      dns?.catch(() => {});
      // Ports first: one that is taken is refused before anything is changed.
      const asked = Object.keys(portBindings).length + publishAll.length + exposedPorts.length > 0;
      const plan = asked ? await this.#published.prepare(sandbox, endpoints) : undefined;
      const gateways = chooseGateways(endpoints);
      for (const endpoint of endpoints) await this.#endpoints.join({ sandbox, endpoint, gateways, inside, pair });
      await plan?.enforce();
      await dns;
    }
    for (const endpoint of endpoints) this.#endpoints.announce("connect", endpoint);
  }

  /** The rows of the sandbox and its endpoints, in one transaction. */
  async #assign(
    sandbox: SandboxRecord,
    wanted: readonly Wanted[],
    namespace: ReadyNamespace | undefined,
  ): Promise<EndpointRecord[]> {
    const { records, ipam } = this.#parts;
    const leases: { readonly network: NetworkRecord; readonly lease: Lease }[] = [];
    try {
      for (const { network, wished } of wanted) {
        leases.push({ network, lease: await this.#endpoints.lease(network, wished) });
      }
      return records.transaction(() => {
        records.putSandbox(sandbox);
        const present: EndpointRecord[] = [];
        for (const { network, lease } of leases) {
          const hostLink = present.length === 0 ? namespace?.pair?.hostLink : undefined;
          present.push(this.#endpoints.assign({ sandbox, network, lease, present, hostLink, joined: true }));
        }
        return present;
      });
    } catch (error) {
      ipam.released();
      for (const { lease } of leases) await this.#endpoints.giveBack(lease);
      throw error;
    }
  }

  async #prepare(sandbox: SandboxRecord, endpoints: readonly EndpointRecord[]): Promise<EndpointRecord[]> {
    const prepared: EndpointRecord[] = [];
    for (const endpoint of endpoints) prepared.push(await this.#endpoints.prepare(sandbox, endpoint, endpoints));
    return prepared;
  }

  close(containerId: string): Promise<void> {
    return this.#lock.run(containerId, () => this.#close(containerId));
  }

  async #close(containerId: string): Promise<void> {
    const { records, ipam, namespaces, dns } = this.#parts;
    const sandbox = records.sandbox(containerId);
    if (sandbox === undefined) return;
    dns.stop(containerId);
    const endpoints = records.endpointsOfContainer(containerId);
    await this.#published.close(containerId);
    for (const endpoint of endpoints) await this.#endpoints.leave(sandbox, endpoint);
    records.deleteSandbox(containerId);
    ipam.released();
    if (sandbox.ownNetns) namespaces.removeSoon(sandbox.sandboxId);
    for (const endpoint of endpoints) this.#endpoints.announce("disconnect", endpoint);
  }

  connect(name: string, containerId: string, wished: EndpointSettings): Promise<void> {
    return this.#lock.run(containerId, () => this.#membership.connect(containerId, this.#registry.find(name), wished));
  }

  disconnect(name: string, containerId: string, force: boolean): Promise<void> {
    return this.#lock.run(containerId, () =>
      this.#membership.disconnect(containerId, this.#registry.find(name), force),
    );
  }

  /** The container has another name now; others find it under that one. */
  rename(containerId: string, name: string): Promise<void> {
    return this.#lock.run(containerId, () => {
      const { records } = this.#parts;
      const sandbox = records.sandbox(containerId);
      if (sandbox === undefined) return;
      const { hostname } = sandbox.config;
      records.transaction(() => {
        records.putSandbox({ ...sandbox, name });
        for (const endpoint of records.endpointsOfContainer(containerId)) {
          const network = records.network(endpoint.networkId);
          if (network === undefined) continue;
          const DNSNames = dnsNames({ containerId, name, hostname }, network, endpoint.settings);
          records.putEndpoint({ ...endpoint, settings: { ...endpoint.settings, DNSNames } });
        }
      });
    });
  }

  /** After a start: ends what an engine that was killed was about to do to sandboxes that live on. */
  async finish(): Promise<void> {
    for (const { containerId } of this.#parts.records.sandboxes())
      await this.#lock.run(containerId, () => this.#membership.finish(containerId));
  }

  /** Resolves when nothing of what was left is on its way out. */
  settle(): Promise<void> {
    return this.#membership.settle();
  }
}
