/** Running sandboxes that join and leave networks. The caller holds the sandbox's lock. */
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { shortId } from "../base/ids.ts";
import { RouteSocket } from "../kernel/netlink.ts";
import { checkAdmission } from "./admission.ts";
import type { Endpoints } from "./endpoints.ts";
import { changeRoutes, chooseGateways } from "./gateways.ts";
import type { Parts } from "./parts.ts";
import type { Published } from "./published.ts";
import type { EndpointRecord, NetworkRecord, SandboxRecord } from "./records.ts";

export class Membership {
  readonly #parts: Parts;
  readonly #endpoints: Endpoints;
  readonly #published: Published;
  /** Sandbox → its links that the kernel is still removing; their names are taken until then. */
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(parts: Parts, endpoints: Endpoints, published: Published) {
    this.#parts = parts;
    this.#endpoints = endpoints;
    this.#published = published;
  }

  /** All or nothing. "conflict" when nothing runs, "forbidden" when it is there already, "invalid" when the two do not go together. */
  async connect(containerId: string, network: NetworkRecord, wished: EndpointSettings): Promise<void> {
    const { records, namespaces, dns } = this.#parts;
    const sandbox = records.sandbox(containerId);
    if (sandbox === undefined) throw new EngineError("conflict", `container ${shortId(containerId)} is not running`);
    const present = records.endpointsOfContainer(containerId);
    this.#check(sandbox, network, present);
    await this.#leaving.get(containerId);
    const inside = new RouteSocket(namespaces.path(sandbox.sandboxId));
    let endpoint: EndpointRecord | undefined;
    try {
      endpoint = await this.#newEndpoint(sandbox, network, wished, present);
      const all = [...present, endpoint];
      const plan = await this.#published.prepare(sandbox, all);
      await this.#endpoints.join({ sandbox, endpoint, gateways: chooseGateways(all), inside });
      if (this.#endpoints.hasNames(endpoint)) await dns.start(sandbox);
      await plan.enforce();
      records.putEndpoint({ ...endpoint, joined: true });
    } catch (error) {
      if (endpoint !== undefined) await this.#part(sandbox, endpoint, inside);
      throw error;
    } finally {
      inside.close();
    }
    this.#endpoints.announce("connect", endpoint);
  }

  /** Its row, and what its driver says of it; neither is left on failure. */
  async #newEndpoint(
    sandbox: SandboxRecord,
    network: NetworkRecord,
    wished: EndpointSettings,
    present: readonly EndpointRecord[],
  ): Promise<EndpointRecord> {
    const { records, ipam } = this.#parts;
    const lease = await this.#endpoints.lease(network, wished);
    let endpoint: EndpointRecord;
    try {
      endpoint = records.transaction(() => this.#endpoints.assign({ sandbox, network, lease, present, joined: false }));
    } catch (error) {
      ipam.released();
      await this.#endpoints.giveBack(lease);
      throw error;
    }
    try {
      return await this.#endpoints.prepare(sandbox, endpoint, [...present, endpoint]);
    } catch (error) {
      await this.#endpoints.leave(sandbox, endpoint);
      records.deleteEndpoint(endpoint.id);
      ipam.released();
      throw error;
    }
  }

  #check(sandbox: SandboxRecord, network: NetworkRecord, present: readonly EndpointRecord[]): void {
    const { records } = this.#parts;
    if (present.some(({ networkId }) => networkId === network.id))
      throw new EngineError(
        "forbidden",
        `endpoint with name ${sandbox.name} already exists in network ${network.name}`,
      );
    checkAdmission(
      network,
      present.flatMap(({ networkId }) => records.network(networkId) ?? []),
    );
  }

  /** "forbidden" when it is not there, unless `force`; "invalid" for the host's network. */
  async disconnect(containerId: string, network: NetworkRecord, force: boolean): Promise<void> {
    const { records, namespaces } = this.#parts;
    const sandbox = records.sandbox(containerId);
    const endpoint = records.endpointsOfContainer(containerId).find(({ networkId }) => networkId === network.id);
    if (sandbox === undefined || endpoint === undefined) {
      if (force) return;
      throw new EngineError("forbidden", `container ${containerId} is not connected to network ${network.name}`);
    }
    if (!sandbox.ownNetns) checkAdmission(network, []);
    const inside = new RouteSocket(namespaces.path(sandbox.sandboxId));
    try {
      await this.#part(sandbox, endpoint, inside);
    } finally {
      inside.close();
    }
    this.#endpoints.announce("disconnect", endpoint);
  }

  /** The row says first that the endpoint ends, so that the next engine goes on with it. */
  async #part(sandbox: SandboxRecord, endpoint: EndpointRecord, inside: RouteSocket): Promise<void> {
    const { records, ipam, logger } = this.#parts;
    records.putEndpoint({ ...endpoint, joined: false });
    const all = records.endpointsOfContainer(sandbox.containerId);
    const rest = all.filter(({ id }) => id !== endpoint.id);
    try {
      await this.#published.update(sandbox, rest);
    } catch (error) {
      logger.log("error", "published ports could not move to another network", {
        container: sandbox.containerId,
        error: errorMessage(error),
      });
    }
    await this.#endpoints.leave(sandbox, endpoint);
    changeRoutes(inside, chooseGateways(all), chooseGateways(rest));
    this.#forget(sandbox.containerId, this.#endpoints.discard(sandbox, endpoint));
    records.deleteEndpoint(endpoint.id);
    ipam.released();
  }

  #forget(containerId: string, gone: Promise<void>): void {
    const all = Promise.all([this.#leaving.get(containerId), gone]).then(() => {
      if (this.#leaving.get(containerId) === all) this.#leaving.delete(containerId);
    });
    this.#leaving.set(containerId, all);
  }

  /** Ends what an engine that was killed was about to join or to leave. */
  async finish(containerId: string): Promise<void> {
    const { records, namespaces } = this.#parts;
    const sandbox = records.sandbox(containerId);
    const open = records.endpointsOfContainer(containerId).filter(({ joined }) => !joined);
    if (sandbox === undefined || open.length === 0) return;
    const inside = new RouteSocket(namespaces.path(sandbox.sandboxId));
    try {
      for (const endpoint of open) await this.#part(sandbox, endpoint, inside);
    } finally {
      inside.close();
    }
  }

  /** Resolves when no link is on its way out. */
  async settle(): Promise<void> {
    await Promise.all(this.#leaving.values());
  }
}
