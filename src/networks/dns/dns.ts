/** Name servers for all sandboxes with a user-defined network: started, stopped, found again by the next engine. */
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { redirectLocal } from "../../kernel/nft-redirect.ts";
import type { Namespaces } from "../namespaces.ts";
import type { Records, SandboxRecord } from "../records.ts";
import { Directory } from "./directory.ts";
import { Forwarder, type Route } from "./forwarder.ts";
import { answerLocally } from "./local.ts";
import { type Query, RCODE, readQuery, respond, respondError } from "./message.ts";
import { RateLimit } from "./rate-limit.ts";
import { DNS_ADDRESS, DnsServer } from "./server.ts";

export interface DnsOptions {
  readonly records: Records;
  readonly namespaces: Pick<Namespaces, "path">;
  readonly logger: Logger;
  /** The servers that the host itself asks. */
  readonly hostServers: () => readonly string[];
}

const DNS_PORT = 53;
/** In the sandbox's namespace. */
const TABLE = "gantry_dns";

export class Dns {
  readonly #options: DnsOptions;
  readonly #directory: Directory;
  readonly #forwarder = new Forwarder();
  readonly #servers = new Map<string, DnsServer>();

  constructor(options: DnsOptions) {
    this.#options = options;
    this.#directory = new Directory(options.records);
  }

  /** 127.0.0.11 answers in the sandbox. Idempotent. */
  async start(sandbox: SandboxRecord): Promise<void> {
    const { containerId } = sandbox;
    if (this.#servers.has(containerId)) return;
    const { port, netns } = this.#open(sandbox);
    if (port === sandbox.dnsPort) return;
    const replace = sandbox.dnsPort !== 0;
    await redirectLocal(netns, {
      table: TABLE,
      replace,
      address: DNS_ADDRESS,
      port: DNS_PORT,
      to: { udp: port, tcp: port },
    });
    this.#options.records.setDnsPort(containerId, port);
  }

  #open(sandbox: SandboxRecord): { port: number; netns: string } {
    const netns = this.#options.namespaces.path(sandbox.sandboxId);
    const limit = new RateLimit();
    const server = DnsServer.open({
      netns,
      port: sandbox.dnsPort,
      answer: (packet, how) => (limit.take() ? this.#answer(sandbox, netns, packet, how) : Promise.resolve(undefined)),
    });
    this.#servers.set(sandbox.containerId, server);
    return { port: server.port, netns };
  }

  /** Idempotent. */
  stop(containerId: string): void {
    this.#servers.get(containerId)?.close();
    this.#servers.delete(containerId);
  }

  /** Every sandbox that had a name server has one again. What fails of one is told and does not keep the others from it. */
  async restore(): Promise<void> {
    const { records, logger } = this.#options;
    for (const sandbox of records.sandboxes().filter(({ dnsPort }) => dnsPort !== 0)) {
      await this.start(sandbox).catch((error) =>
        logger.log("error", "the name server of a container could not be started", {
          container: sandbox.containerId,
          error: errorMessage(error),
        }),
      );
      await new Promise(setImmediate);
    }
  }

  dispose(): void {
    for (const containerId of [...this.#servers.keys()]) this.stop(containerId);
  }

  async #answer(
    sandbox: SandboxRecord,
    netns: string,
    packet: Buffer,
    how: { readonly udp: boolean },
  ): Promise<Buffer | undefined> {
    try {
      const query = readQuery(packet);
      if (query === undefined) return undefined;
      if (typeof query === "number") return respondError(packet, query);
      const local = answerLocally(this.#directory, sandbox.containerId, query);
      if (local !== undefined) return respond(query, RCODE.ok, local, how);
      return await this.#forward(sandbox, netns, query, how);
    } catch (error) {
      this.#options.logger.log("warn", "a name could not be looked up", {
        container: sandbox.containerId,
        error: errorMessage(error),
      });
      return undefined;
    }
  }

  async #forward(
    { containerId, config }: SandboxRecord,
    netns: string,
    query: Query,
    how: { readonly udp: boolean },
  ): Promise<Buffer> {
    if (!this.#directory.reachesOut(containerId)) return respond(query, RCODE.serverFailure, [], how);
    // Who asks for search domains by a number of dots wants them tried instead.
    if (config.ndots && !query.name.includes(".")) return respond(query, RCODE.nameError, [], how);
    const route = this.#routeOf(config.dns, netns);
    return (await this.#forwarder.ask(query, route, how)) ?? respond(query, RCODE.serverFailure, [], how);
  }

  /** Servers that the user named are asked from inside the container's network; the host's from where the host asks them. */
  #routeOf(named: readonly string[], netns: string): Route {
    const from = named.length > 0 ? netns : undefined;
    const addresses = named.length > 0 ? named : this.#options.hostServers();
    return {
      servers: addresses.map((address) => ({ address, port: DNS_PORT, netns: from })),
      key: `${from ?? ""} ${addresses.join(" ")}`,
    };
  }
}
