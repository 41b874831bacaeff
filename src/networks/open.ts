import { EngineError, errorMessage } from "../base/errors.ts";
import { parseIp } from "./addresses.ts";
import { exposure } from "./exposure.ts";
import { type FileContext, type FileOptions, hostsFile, resolvConfFile } from "./files.ts";
import type { Networks, Sandbox, SandboxRequest } from "./networks.ts";
import { makeParts, type Parts, type PartsOptions } from "./parts.ts";
import { checkPools } from "./pools.ts";
import { definePredefined } from "./predefined.ts";
import { Registry } from "./registry.ts";
import { leaveKernel, restoreKernel } from "./restore.ts";
import { Sandboxes } from "./sandboxes.ts";

export interface NetworksOptions extends PartsOptions {
  /** What "host-gateway" stands for; default: the default bridge's gateways. */
  readonly hostGatewayIps?: readonly string[] | undefined;
}

/** The predefined networks are in the database afterwards; the kernel is touched by `restore`, or by the first that needs it. */
export async function openNetworks(options: NetworksOptions): Promise<Networks> {
  checkPools(options.settings.defaultAddressPools);
  const parts = makeParts(options);
  try {
    definePredefined(parts);
  } catch (error) {
    parts.firewall?.close();
    parts.host.close();
    throw error;
  }
  return new OpenNetworks(parts, options.hostGatewayIps ?? []);
}

class OpenNetworks implements Networks {
  readonly #parts: Parts;
  readonly #registry: Registry;
  readonly #sandboxes: Sandboxes;
  readonly #hostGatewayIps: readonly string[];
  #ready: Promise<void> | undefined;
  #disposed = false;

  constructor(parts: Parts, hostGatewayIps: readonly string[]) {
    this.#parts = parts;
    this.#registry = new Registry(parts);
    this.#sandboxes = new Sandboxes(parts, this.#registry);
    this.#hostGatewayIps = hostGatewayIps;
  }

  async create(request: Parameters<Networks["create"]>[0]) {
    await this.#kernel();
    return this.#registry.create(request);
  }

  inspect(name: string) {
    return this.#registry.inspect(name);
  }

  list() {
    return this.#registry.list();
  }

  nameOf(name: string) {
    return this.#registry.nameOf(name);
  }

  async remove(name: string) {
    await this.#kernel();
    await this.#registry.remove(name);
  }

  async open(request: SandboxRequest): Promise<Sandbox> {
    await this.#kernel();
    return this.#sandboxes.open(request);
  }

  close(containerId: string) {
    return this.#sandboxes.close(containerId);
  }

  sandbox(containerId: string) {
    return this.#sandboxes.find(containerId);
  }

  async connect(...args: Parameters<Networks["connect"]>) {
    await this.#kernel();
    await this.#sandboxes.connect(...args);
  }

  async disconnect(...args: Parameters<Networks["disconnect"]>) {
    await this.#kernel();
    await this.#sandboxes.disconnect(...args);
  }

  admit(...[name, settings, present]: Parameters<Networks["admit"]>) {
    return this.#registry.admit(name, settings, present);
  }

  rename(containerId: string, name: string) {
    return this.#sandboxes.rename(containerId, name);
  }

  exposure() {
    return exposure(this.#parts);
  }

  files(request: SandboxRequest, sandbox: Sandbox, options: FileOptions) {
    const context: FileContext = { ...options, request, sandbox, hostGateways: this.#gateways() };
    const warn = () =>
      this.#parts.logger.log("warn", "the host's name servers cannot be reached from containers; using public ones", {
        container: request.containerId,
      });
    return { hosts: hostsFile(context), resolvConf: resolvConfFile(context, warn), hostname: `${request.hostname}\n` };
  }

  async restore(alive: ReadonlySet<string>) {
    for (const { containerId } of this.#parts.records.sandboxes())
      if (!alive.has(containerId)) await this.close(containerId);
    // Before all else: containers ask for names meanwhile.
    await this.#parts.dns.restore();
    this.#ready = undefined;
    await this.#kernel();
    await this.#sandboxes.finish();
  }

  async dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#ready?.catch(() => {});
    await this.#sandboxes.settle();
    this.#parts.dns.dispose();
    await this.#parts.namespaces.dispose();
    this.#parts.holder.dispose();
    await leaveKernel(this.#parts).catch((error) =>
      this.#parts.logger.log("warn", "networks could not be taken away", { error: errorMessage(error) }),
    );
    this.#parts.firewall?.close();
    this.#parts.flows.close();
    this.#parts.host.close();
  }

  /** Once; again when it failed. */
  #kernel(): Promise<void> {
    if (this.#disposed) throw new EngineError("unavailable", "the engine is shutting down");
    this.#ready ??= restoreKernel(this.#parts).then(
      () => this.#parts.namespaces.fill(),
      (error) => {
        this.#ready = undefined;
        throw error;
      },
    );
    return this.#ready;
  }

  #gateways(): string[] {
    if (this.#hostGatewayIps.length > 0) return [...this.#hostGatewayIps];
    const subnets = this.#parts.records.networkByName("bridge")?.subnets ?? [];
    return subnets.flatMap(({ Gateway }) => (parseIp(Gateway ?? "") === undefined ? [] : [Gateway ?? ""]));
  }
}
