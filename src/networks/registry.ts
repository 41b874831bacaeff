/** The networks themselves: found, listed, made, removed. */
import type { EndpointSettings, Network, NetworkCreateRequest } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { checkAdmission, checkSettings } from "./admission.ts";
import { configNetwork, configured } from "./config-only.ts";
import { userNetwork } from "./definitions.ts";
import type { Driver } from "./driver.ts";
import { ensureForwarding } from "./forwarding.ts";
import { NO_BRIDGE } from "./names.ts";
import { hasRival, hostSubnets, networkSubnets, type Parts } from "./parts.ts";
import type { NetworkRecord } from "./records.ts";
import { isRemoteIpam, type RequestedPools } from "./remote-ipam.ts";
import { networkView } from "./views.ts";

const MAX_TRIES = 10;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

const NO_SWARM =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

/** What is a cluster's is nobody's here. */
function refuseCluster({ Scope = "", Ingress, Driver, ConfigOnly }: NetworkCreateRequest): void {
  if (Ingress || Scope === "swarm" || Scope === "global" || (Driver === "overlay" && !ConfigOnly))
    throw new EngineError("unavailable", NO_SWARM, { hint: "leave --scope, --ingress and the driver overlay away" });
  if (Scope !== "" && Scope !== "local") throw new EngineError("invalid", `invalid network scope: ${Scope}`);
}

export class Registry {
  readonly #parts: Parts;
  /** Being made or removed: no container may join. */
  readonly #busy = new Set<string>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * By name, id, or the id's beginning; "default" is the network of containers that name none: "bridge", or "none" where there is no
   * default bridge. "not-found"; "invalid" when a beginning fits several.
   */
  find(wanted: string): NetworkRecord {
    const { records, settings } = this.#parts;
    const bridge = settings.bridge === NO_BRIDGE ? "none" : "bridge";
    const name = wanted === "default" || wanted === "bridge" ? bridge : wanted;
    const exact = records.networkByName(name) ?? records.network(name);
    if (exact !== undefined) return exact;
    const found = /^[0-9a-f]+$/.test(name) ? records.networksByPrefix(name) : [];
    if (found.length > 1)
      throw new EngineError(
        "invalid",
        `network ${name} is ambiguous (${found.length} matches found based on ID prefix)`,
      );
    if (found[0] === undefined) throw new EngineError("not-found", `network ${name} not found`);
    return found[0];
  }

  driverOf({ driver }: NetworkRecord): Driver {
    return this.#parts.drivers.of(driver);
  }

  inspect(name: string): Network {
    const record = this.find(name);
    return networkView(record, this.#parts.records.endpointsOfNetwork(record.id));
  }

  admit(name: string, settings: EndpointSettings, present: readonly string[]): { name: string; id: string } {
    const network = this.find(name);
    checkAdmission(
      network,
      present.flatMap((other) => this.#known(other)),
    );
    checkSettings(network, settings);
    return { name: network.name, id: network.id };
  }

  nameOf(name: string): string {
    return this.#known(name)[0]?.name ?? name;
  }

  #known(name: string): NetworkRecord[] {
    try {
      return [this.find(name)];
    } catch {
      return [];
    }
  }

  list(): Network[] {
    const { records } = this.#parts;
    return records.networks().map((record) => networkView(record, records.endpointsOfNetwork(record.id)));
  }

  async create(wished: NetworkCreateRequest): Promise<{ Id: string; Warning: string }> {
    refuseCluster(wished);
    this.#refuseName(wished.Name ?? "");
    const { records, settings } = this.#parts;
    const filled = configured(wished, (name) => records.networks().find((one) => one.name === name || one.id === name));
    const standard = settings.defaultOptions[wished.Driver || "bridge"];
    const request = standard === undefined ? filled : { ...filled, Options: { ...standard, ...filled.Options } };
    const { Id } = request.ConfigOnly
      ? this.#remember(configNetwork(request))
      : await this.#make(request, this.#creatable(request));
    this.#parts.events.publish({
      type: "network",
      action: "create",
      id: Id,
      attributes: { name: request.Name ?? "", type: request.Driver || "bridge" },
    });
    return { Id, Warning: "" };
  }

  #remember(network: NetworkRecord): { Id: string } {
    this.#parts.records.putNetwork(network);
    return { Id: network.id };
  }

  /** Once more with another subnet when another engine on this machine chose the same one at the same time. */
  async #make(request: NetworkCreateRequest, driver: Driver, tries = 0): Promise<{ Id: string }> {
    const { records, host, ipam, settings, firewall } = this.#parts;
    const requested = isRemoteIpam(request.IPAM?.Driver)
      ? await this.#parts.remoteIpam.requestPools(request)
      : undefined;
    const owned = networkSubnets(records.networks());
    const taken = [...owned, ...hostSubnets(host)];
    const network = await this.#orGiveBack(requested, () => {
      const made = userNetwork({ request, requested, linkOf: driver.linkOf, settings, owned, taken });
      records.transaction(() => {
        records.putNetwork({ ...made, incomplete: true });
        this.#parts.debts.strike(requested?.debts ?? []);
        ipam.reserve(made);
      });
      return made;
    });
    this.#busy.add(network.id);
    try {
      await driver.create(network);
      await ensureForwarding(this.#parts, network.ipv6);
      await firewall?.follow();
      if (network.ownSubnets || tries >= MAX_TRIES || !hasRival(host, network)) {
        records.putNetwork(network);
        return { Id: network.id };
      }
    } catch (error) {
      await this.#undo(network, driver);
      throw error;
    } finally {
      this.#busy.delete(network.id);
    }
    await this.#undo(network, driver);
    return this.#make(request, driver, tries + 1);
  }

  async #orGiveBack<T>(requested: RequestedPools | undefined, work: () => T): Promise<T> {
    try {
      return work();
    } catch (error) {
      if (requested !== undefined) await this.#parts.remoteIpam.giveBack(requested);
      throw error;
    }
  }

  async #undo(network: NetworkRecord, driver: Driver): Promise<void> {
    await driver.remove(network).catch(() => {});
    await this.#releasePools(network).catch(() => {});
    this.#parts.records.deleteNetwork(network.id);
    this.#parts.ipam.released();
  }

  async #releasePools({ ipamDriver, subnets, pools = {} }: NetworkRecord): Promise<void> {
    if (isRemoteIpam(ipamDriver)) await this.#parts.remoteIpam.releasePools(ipamDriver, { config: subnets, pools });
  }

  /** "not-found" for a network that is being made or removed. */
  refuseBusy({ id, name }: NetworkRecord): void {
    if (this.#busy.has(id)) throw new EngineError("not-found", `network ${name} not found`);
  }

  #creatable(request: NetworkCreateRequest): Driver {
    const { Driver: kind = "" } = request;
    const { drivers, records } = this.#parts;
    if (!drivers.has(kind || "bridge"))
      throw new EngineError("not-found", `could not find plugin ${kind} in v1 plugin registry: plugin not found`);
    const driver = drivers.of(kind || "bridge");
    if (!driver.many) throw new EngineError("forbidden", `only one instance of "${kind}" network is allowed`);
    driver.check(request, records.networks());
    return driver;
  }

  #refuseName(name: string): void {
    if (!NAME.test(name))
      throw new EngineError("invalid", name === "" ? "network name cannot be empty" : `invalid network name: ${name}`);
    if (this.#parts.records.networkByName(name) !== undefined || name === "default")
      throw new EngineError("conflict", `network with name ${name} already exists`);
  }

  async remove(name: string): Promise<void> {
    const { records, firewall, ipam, events } = this.#parts;
    const network = this.find(name);
    if (network.predefined)
      throw new EngineError("forbidden", `${network.name} is a pre-defined network and cannot be removed`);
    if (records.networks().some(({ configFrom }) => configFrom === network.name) && network.configOnly)
      throw new EngineError("forbidden", `configuration network "${network.name}" is in use`);
    const endpoints = records.endpointsOfNetwork(network.id);
    if (endpoints.length > 0) {
      const names = endpoints
        .map(({ containerName, id }) => `name:"${containerName}" id:"${id.slice(0, 12)}"`)
        .join(", ");
      throw new EngineError(
        "forbidden",
        `error while removing network: network ${network.name} has active endpoints (${names})`,
      );
    }
    this.refuseBusy(network);
    this.#busy.add(network.id);
    try {
      await this.driverOf(network).remove(network);
      await this.#releasePools(network);
      records.deleteNetwork(network.id);
    } finally {
      this.#busy.delete(network.id);
    }
    ipam.released();
    await firewall?.follow();
    events.publish({
      type: "network",
      action: "destroy",
      id: network.id,
      attributes: { name: network.name, type: network.driver },
    });
  }
}
