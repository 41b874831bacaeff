/** A sandbox's published ports: they lead to the endpoints that have its gateways, whichever those are now. */
import type { PortMap } from "../api/types/container.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { OPTION } from "./bridges.ts";
import { chooseGateways, FAMILIES, type Gateways, targetsOf } from "./gateways.ts";
import type { Parts } from "./parts.ts";
import { portMap, type Targets } from "./ports.ts";
import type { EndpointRecord, PortRecord, SandboxRecord } from "./records.ts";

export class Published {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * The ports of the sandbox lead to the right ones of `endpoints`; a host port that was chosen stays the same. All that is new or
   * nothing: "internal" with Docker's text for a port that is taken.
   */
  async update(sandbox: SandboxRecord, endpoints: readonly EndpointRecord[]): Promise<PortMap> {
    const { records, ports } = this.#parts;
    const { portBindings, publishAll, exposedPorts } = sandbox.config;
    const gateways = chooseGateways(endpoints);
    const targets = this.#targets(gateways);
    const before = records.portsOfContainer(sandbox.containerId);
    const [kept, gone] = partition(before, (port) => targets[familyOf(port)] !== undefined);
    const moved = kept.map((port) => aimed(port, targets));
    try {
      const present = moved;
      const added = await ports.publish({
        targets,
        portBindings,
        publishAll,
        present,
        defaultIp: this.#defaultIp(gateways),
      });
      const map = portMap([...moved, ...added], exposedPorts);
      records.transaction(() => {
        for (const port of moved) records.movePort(port);
        records.putSandbox({ ...sandbox, ports: map });
      });
      ports.release(gone);
      await this.#enforce(sandbox, before, [...moved, ...added]);
      return map;
    } catch (error) {
      throw described(error, sandbox, gateways);
    }
  }

  /** Closes all of them. Never rejects. */
  async close(containerId: string): Promise<void> {
    const { records, ports, firewall, logger } = this.#parts;
    const published = records.portsOfContainer(containerId);
    if (published.length === 0) return;
    ports.release(published);
    await firewall?.change({ remove: published }).catch((error) =>
      logger.log("error", "rules of published ports could not be removed", {
        container: containerId,
        error: errorMessage(error),
      }),
    );
  }

  async #enforce(sandbox: SandboxRecord, before: readonly PortRecord[], after: readonly PortRecord[]): Promise<void> {
    const { firewall, logger } = this.#parts;
    const [old, now] = [new Set(before.map(keyOf)), new Set(after.map(keyOf))];
    const add = after.filter((port) => !old.has(keyOf(port)));
    const remove = before.filter((port) => !now.has(keyOf(port)));
    if (add.length > 0 && firewall === undefined)
      logger.log("warn", "ports are not reachable: the daemon must not set up the firewall", {
        container: sandbox.containerId,
      });
    if (add.length + remove.length > 0) await firewall?.change({ add, remove });
  }

  /** Without the families whose way out is no bridge of ours. */
  #targets(gateways: Gateways): Targets {
    const bridged = (endpoint: EndpointRecord | undefined) =>
      endpoint !== undefined && this.#parts.records.network(endpoint.networkId)?.driver === "bridge";
    const [ipv4, ipv6] = FAMILIES.map((family) => (bridged(gateways[family]) ? gateways[family] : undefined));
    return targetsOf({ 4: ipv4, 6: ipv6 });
  }

  #defaultIp(gateways: Gateways): string {
    const network = this.#parts.records.network((gateways[4] ?? gateways[6])?.networkId ?? "");
    return network?.options[OPTION.hostIp] || this.#parts.settings.ip;
  }
}

function familyOf({ containerIp }: PortRecord): 4 | 6 {
  return containerIp.includes(":") ? 6 : 4;
}

function aimed(port: PortRecord, targets: Targets): PortRecord {
  const target = targets[familyOf(port)];
  return target === undefined ? port : { ...port, endpointId: target.endpointId, containerIp: target.ip };
}

function keyOf({ protocol, hostIp, hostPort, containerIp, containerPort }: PortRecord): string {
  return [protocol, hostIp, hostPort, containerIp, containerPort].join(" ");
}

function partition<T>(values: readonly T[], test: (value: T) => boolean): [T[], T[]] {
  return [values.filter(test), values.filter((value) => !test(value))];
}

function described(error: unknown, { name }: SandboxRecord, gateways: Gateways): unknown {
  if (!(error instanceof EngineError) || error.kind !== "internal") return error;
  const endpoint = `${name} (${(gateways[4] ?? gateways[6])?.id ?? ""})`;
  const where = `failed to set up container networking: driver failed programming external connectivity on endpoint ${endpoint}`;
  return new EngineError(error.kind, `${where}: ${error.message}`, { hint: error.hint, cause: error });
}
