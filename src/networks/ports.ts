/** Published ports: what was asked for, and the host ports that it gets. */
import type { PortBinding, PortMap } from "../api/types/container.ts";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import { hostHasIpv6 } from "../kernel/sysctl.ts";
import { type Family, parseIp } from "./addresses.ts";
import { dataRootOf } from "./names.ts";
import type { PortHolder } from "./port-holder.ts";
import type { PortRecord, Protocol, Records, SandboxConfig } from "./records.ts";

/** One container port to be published at one of the host ports from `first` to `last`, the same at all of `hostIps`. */
interface Wish {
  readonly key: string;
  readonly protocol: Protocol;
  readonly containerPort: number;
  readonly hostIps: readonly string[];
  readonly first: number;
  readonly last: number;
}

/** Where a published port leads: one of a sandbox's endpoints. */
export interface Target {
  readonly endpointId: string;
  readonly ip: string;
}

/** By the host address's family; undefined where the sandbox has no way in. */
export type Targets = Readonly<Record<Family, Target | undefined>>;

export interface PublishRequest {
  readonly targets: Targets;
  readonly portBindings: PortMap;
  readonly publishAll: readonly string[];
  /** Where ports without an address of their own go: "0.0.0.0". */
  readonly defaultIp: string;
  /** What is published already; it is kept, and what is missing beside it gets the same host ports. */
  readonly present?: readonly PortRecord[] | undefined;
}

/** Where host ports come from when nobody names one: Linux's own range for that. */
const RANDOM = { first: 32768, last: 60999 } as const;
const ANY = { 4: "0.0.0.0", 6: "::" } as const;
/** strerror's words, as Docker prints them. */
const REASON: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EACCES: "permission denied",
};

export interface PortsOptions {
  readonly records: Records;
  readonly holder: PortHolder;
  /** The firewall's table of another engine that has the port; see Firewall.rivalFor. */
  rivalFor(port: PortRecord): { readonly name: string; readonly comment: string } | undefined;
}

export class Ports {
  readonly #records: Records;
  readonly #holder: PortHolder;
  readonly #rivalFor: PortsOptions["rivalFor"];
  #nextRandom: number = RANDOM.first;

  constructor({ records, holder, rivalFor }: PortsOptions) {
    this.#rivalFor = rivalFor;
    this.#records = records;
    this.#holder = holder;
  }

  /**
   * Takes the host ports that are missing, in the database and with sockets; answers them. All or nothing. "internal" with Docker's
   * text for a port that another container or a process of the host has; "invalid" for what is no port.
   */
  async publish(request: PublishRequest): Promise<PortRecord[]> {
    const taken: PortRecord[] = [];
    const present = new Set(request.present);
    try {
      for (const wish of wishes(request)) taken.push(...(await this.#take(completed(wish, present), request)));
      return taken;
    } catch (error) {
      this.release(taken);
      throw error;
    }
  }

  /** Idempotent. */
  release(ports: readonly PortRecord[]): void {
    this.#records.transaction(() => {
      for (const port of ports) this.#records.deletePort(port);
    });
    for (const port of ports) this.#holder.release(port);
  }

  async #take(wish: Wish, request: PublishRequest): Promise<PortRecord[]> {
    if (wish.hostIps.length === 0) return [];
    let refusal: unknown;
    for (const hostPort of this.#candidates(wish)) {
      const records = wish.hostIps.flatMap((hostIp) => recordOf(wish, request.targets, hostIp, hostPort));
      try {
        this.#reserve(records);
        await this.#hold(records);
        return records;
      } catch (error) {
        refusal = error;
        if (!(error instanceof EngineError) || error.kind !== "internal") throw error;
      }
    }
    throw refusal;
  }

  *#candidates({ first, last }: Wish): Generator<number> {
    if (first !== 0) {
      for (let port = first; port <= last; port++) yield port;
      return;
    }
    for (let tries = RANDOM.first; tries <= RANDOM.last; tries++) {
      const port = this.#nextRandom;
      this.#nextRandom = port === RANDOM.last ? RANDOM.first : port + 1;
      yield port;
    }
  }

  #reserve(records: readonly PortRecord[]): void {
    this.#records.transaction(() => {
      for (const record of records) {
        const { protocol, hostIp, hostPort } = record;
        if (this.#records.portsAt(protocol, hostPort).some((other) => collide(other.hostIp, hostIp)))
          throw new EngineError("internal", `Bind for ${show(hostIp)}:${hostPort} failed: port is already allocated`);
        this.#refuseRival(record);
        this.#records.putPort(record);
      }
    });
  }

  #refuseRival(record: PortRecord): void {
    const rival = this.#rivalFor(record);
    if (rival === undefined) return;
    const where = `${show(record.hostIp)}:${record.hostPort}`;
    throw new EngineError("internal", `Bind for ${where} failed: port is already allocated`, {
      hint: `an engine that may not run now has it (${dataRootOf(rival.comment) ?? rival.name}): start it and remove its container, or: nft delete table inet ${rival.name}`,
    });
  }

  async #hold(records: readonly PortRecord[]): Promise<void> {
    for (const [index, record] of records.entries()) {
      try {
        await this.#holder.hold(record);
      } catch (cause) {
        for (const held of records.slice(0, index)) this.#holder.release(held);
        this.#records.transaction(() => {
          for (const port of records) this.#records.deletePort(port);
        });
        throw refused(record, cause);
      }
    }
  }
}

function refused({ protocol, hostIp, hostPort, containerIp, containerPort }: PortRecord, cause: unknown): EngineError {
  const where = `${show(hostIp)}:${hostPort}:${show(containerIp)}:${containerPort}/${protocol}`;
  const reason = REASON[errnoOf(cause) ?? ""] ?? errorMessage(cause);
  return new EngineError("internal", `failed to bind host port for ${where}: ${reason}`, { cause });
}

function show(ip: string): string {
  return ip.includes(":") ? `[${ip}]` : ip;
}

/** Whether two addresses of the host cannot have the same port: the same, or one of them is all of its family. */
function collide(a: string, b: string): boolean {
  return (
    a === b || (a.includes(":") === b.includes(":") && (a === ANY[4] || a === ANY[6] || b === ANY[4] || b === ANY[6]))
  );
}

function recordOf(wish: Wish, targets: Targets, hostIp: string, hostPort: number): PortRecord[] {
  const target = targets[familyOf(hostIp)];
  if (target === undefined) return [];
  const { protocol, containerPort } = wish;
  return [{ protocol, hostIp, hostPort, endpointId: target.endpointId, containerIp: target.ip, containerPort }];
}

export function familyOf(ip: string): Family {
  return ip.includes(":") ? 6 : 4;
}

/** What is left of the wish beside the ports that are there, which are taken out of `present`: another wish may ask for the same. */
function completed(wish: Wish, present: Set<PortRecord>): Wish {
  const fits = ({ protocol, containerPort, hostPort, hostIp }: PortRecord) =>
    protocol === wish.protocol &&
    containerPort === wish.containerPort &&
    wish.hostIps.includes(hostIp) &&
    (wish.first === 0 || (wish.first <= hostPort && hostPort <= wish.last));
  const first = [...present].find(fits);
  if (first === undefined) return wish;
  const same = [...present].filter((port) => fits(port) && port.hostPort === first.hostPort);
  for (const port of same) present.delete(port);
  const hostIps = wish.hostIps.filter((hostIp) => !same.some((port) => port.hostIp === hostIp));
  return { ...wish, hostIps, first: first.hostPort, last: first.hostPort };
}

/** As the API shows them; null for exposed ports that are not published. */
export function portMap(ports: readonly PortRecord[], exposedPorts: readonly string[]): PortMap {
  const map: Record<string, PortBinding[] | null> = Object.fromEntries(
    exposedPorts.map((key) => [normalKey(key), null]),
  );
  for (const { protocol, containerPort, hostIp, hostPort } of ports) {
    const key = `${containerPort}/${protocol}`;
    map[key] = [...(map[key] ?? []), { HostIp: hostIp, HostPort: String(hostPort) }];
  }
  return map;
}

function wishes(request: PublishRequest): Wish[] {
  const { portBindings, publishAll } = request;
  const asked = Object.entries(portBindings).flatMap(([key, bindings]) =>
    (bindings ?? []).map((binding) => wishOf(key, binding, request)),
  );
  const bound = new Set(asked.map(({ key }) => key));
  const rest = publishAll.filter((key) => !bound.has(normalKey(key))).map((key) => wishOf(key, {}, request));
  // Named ports first: a random one must not take them away.
  return [...asked, ...rest].sort((a, b) => Number(a.first === 0) - Number(b.first === 0));
}

function wishOf(text: string, { HostIp, HostPort = "" }: PortBinding, request: PublishRequest): Wish {
  const key = normalKey(text);
  const { protocol, containerPort } = parseKey(key);
  const [low = "", high = low] = HostPort.split("-");
  const first = low === "" ? 0 : parsePort(low);
  const last = high === "" ? 0 : parsePort(high);
  if (last < first) throw new EngineError("invalid", `invalid port range: ${HostPort}`);
  return { key, protocol, containerPort, hostIps: hostIps(HostIp ?? "", request), first, last };
}

function hostIps(hostIp: string, { targets, defaultIp }: PublishRequest): string[] {
  const text = hostIp === "" ? defaultIp : hostIp.replace(/^\[(.*)\]$/, "$1");
  const ip = parseIp(text);
  if (ip === undefined) throw new EngineError("invalid", `invalid IP address: ${text}`);
  // Everywhere means everywhere: both families, as far as the host has them and a way leads to the container.
  if (hostIp === "" && text === ANY[4])
    return hostFamilies().flatMap((family) => (targets[family] === undefined ? [] : [ANY[family]]));
  if (targets[ip.family] !== undefined) return [text];
  // A container without a way in publishes nothing; one that has the other family's alone cannot do as it is told.
  if (text === ANY[6] || targets[ip.family === 4 ? 6 : 4] === undefined) return [];
  throw new EngineError(
    "invalid",
    `cannot publish a port at ${show(text)}: the container has no IPv${ip.family} address`,
  );
}

function hostFamilies(): Family[] {
  return hostHasIpv6() ? [4, 6] : [4];
}

/** A container's ports that are to be reached from outside, each once. */
export function containerPorts(
  config: Pick<SandboxConfig, "portBindings" | "publishAll">,
): { protocol: Protocol; containerPort: number }[] {
  const keys = new Set([...Object.keys(config.portBindings), ...config.publishAll].map(normalKey));
  return [...keys].map(parseKey);
}

function parseKey(key: string): { protocol: Protocol; containerPort: number } {
  const [port = "", protocol = "tcp"] = key.split("/");
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")
    throw new EngineError("invalid", `invalid protocol: ${protocol}`);
  return { protocol, containerPort: parsePort(port) };
}

/** "80" is "80/tcp". */
function normalKey(text: string): string {
  const [port = "", protocol = "tcp"] = text.split("/");
  return `${port}/${protocol.toLowerCase()}`;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65535)
    throw new EngineError("invalid", `invalid port specification: "${text}"`);
  return port;
}
