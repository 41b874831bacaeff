/** A sandbox's published ports: they lead to the endpoints that have its gateways, whichever those are now. */
import type { PortMap } from "../api/types/container.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { OPTION } from "./bridge-options.ts";
import type { Parts } from "./parts.ts";
import { containerPorts, familyOf, portMap, type Targets } from "./ports.ts";
import type { EndpointRecord, OpenPort, PortRecord, SandboxRecord } from "./records.ts";
import { type Ways, waysOf } from "./targets.ts";

/** Host ports that are taken, in the database and with sockets; nothing leads to the container yet. */
export interface PortPlan {
  /** Rules and sockets lead to the container. */
  enforce(): Promise<PortMap>;
}

export class Published {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Takes the host ports that the sandbox needs with these endpoints and has not yet; one that was chosen stays. All or nothing:
   * "internal" with Docker's text for a port that is taken.
   */
  async prepare(sandbox: SandboxRecord, endpoints: readonly EndpointRecord[]): Promise<PortPlan> {
    const { records, ports, settings } = this.#parts;
    const { portBindings, publishAll } = sandbox.config;
    const ways = waysOf(this.#parts, endpoints);
    const before = records.portsOfContainer(sandbox.containerId);
    const moved = before.flatMap((port) => aimed(port, ways.bound));
    const defaultIp = ways.network?.options[OPTION.hostIp] || settings.ip;
    try {
      const wished = { targets: ways.bound, portBindings, publishAll, present: moved, defaultIp };
      const added = await ports.publish(wished);
      return { enforce: () => this.#enforce(sandbox, before, [...moved, ...added], ways) };
    } catch (error) {
      throw described(error, sandbox, endpoints[0]);
    }
  }

  /** Both at once. */
  async update(sandbox: SandboxRecord, endpoints: readonly EndpointRecord[]): Promise<PortMap> {
    return (await this.prepare(sandbox, endpoints)).enforce();
  }

  async #enforce(
    sandbox: SandboxRecord,
    before: readonly PortRecord[],
    after: readonly PortRecord[],
    ways: Ways,
  ): Promise<PortMap> {
    const { records, ports, holder } = this.#parts;
    const { containerId, config } = sandbox;
    const map = portMap(after, config.exposedPorts);
    const wasOpen = records.openedOfContainer(containerId);
    const open = containerPorts(config).flatMap((port) =>
      ([4, 6] as const).flatMap((family): OpenPort[] => {
        const target = ways.open[family];
        return target === undefined ? [] : [{ ...port, containerIp: target.ip, endpointId: target.endpointId }];
      }),
    );
    records.transaction(() => {
      for (const port of after) records.movePort(port);
      for (const port of wasOpen) records.deleteOpened(port);
      for (const port of open) records.putOpened(port);
      records.putSandbox({ ...sandbox, ports: map });
    });
    for (const port of after) await holder.hold(port);
    const [old, now] = [new Set(before.map(keyOf)), new Set(after.map(keyOf))];
    const add = after.filter((port) => !old.has(keyOf(port)));
    const remove = before.filter((port) => !now.has(keyOf(port)));
    this.#warn(sandbox, add);
    await this.#change({ add, remove, open, close: wasOpen });
    const hosts = new Set(after.map(hostKeyOf));
    ports.release(before.filter((port) => !hosts.has(hostKeyOf(port))));
    return map;
  }

  #warn({ containerId }: SandboxRecord, added: readonly PortRecord[]): void {
    const { firewall, logger, settings } = this.#parts;
    if (added.length > 0 && firewall === undefined && !settings.userlandProxy)
      logger.log("warn", "ports are not reachable: the daemon must set up neither the firewall nor proxies", {
        container: containerId,
      });
  }

  /** Closes all of them. Never rejects. */
  async close(containerId: string): Promise<void> {
    const { records, ports, logger } = this.#parts;
    const published = records.portsOfContainer(containerId);
    const open = records.openedOfContainer(containerId);
    ports.release(published);
    await this.#change({ add: [], remove: published, open: [], close: open }).catch((error) =>
      logger.log("error", "rules of published ports could not be removed", {
        container: containerId,
        error: errorMessage(error),
      }),
    );
  }

  async #change(change: {
    readonly add: readonly PortRecord[];
    readonly remove: readonly PortRecord[];
    readonly open: readonly OpenPort[];
    readonly close: readonly OpenPort[];
  }): Promise<void> {
    const { firewall, flows } = this.#parts;
    if (change.add.length + change.remove.length + change.open.length + change.close.length === 0) return;
    await firewall?.change(change);
    await flows.forget([...change.add, ...change.remove]);
  }
}

/** The port with where it leads now; nothing when its family has no way any more. */
function aimed(port: PortRecord, targets: Targets): PortRecord[] {
  const target = targets[familyOf(port.hostIp)];
  return target === undefined ? [] : [{ ...port, endpointId: target.endpointId, containerIp: target.ip }];
}

function keyOf(port: PortRecord): string {
  return `${hostKeyOf(port)} ${port.containerIp} ${port.containerPort}`;
}

function hostKeyOf({ protocol, hostIp, hostPort }: PortRecord): string {
  return [protocol, hostIp, hostPort].join(" ");
}

function described(error: unknown, { name }: SandboxRecord, endpoint: EndpointRecord | undefined): unknown {
  if (!(error instanceof EngineError) || error.kind !== "internal") return error;
  const where = `failed to set up container networking: driver failed programming external connectivity on endpoint ${name} (${endpoint?.id ?? ""})`;
  return new EngineError(error.kind, `${where}: ${error.message}`, { hint: error.hint, cause: error });
}
