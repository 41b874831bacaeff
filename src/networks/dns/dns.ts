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
import { ReadyAnswers } from "./ready.ts";
import { type Answering, DNS_ADDRESS, DnsServer } from "./server.ts";

export interface DnsOptions {
  readonly records: Records;
  readonly namespaces: Pick<Namespaces, "path">;
  readonly logger: Logger;
  /** The servers that the host itself asks. */
  readonly hostServers: () => readonly string[];
}

/** One sandbox, as its name server knows it. */
interface Served {
  readonly sandbox: SandboxRecord;
  readonly netns: string;
  readonly ready: ReadyAnswers;
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
    const { records, namespaces } = this.#options;
    const netns = namespaces.path(sandbox.sandboxId);
    const limit = new RateLimit();
    const served = { sandbox, netns, ready: new ReadyAnswers(() => records.version) };
    const server = DnsServer.open({
      netns,
      port: sandbox.dnsPort,
      admit: () => limit.take(),
      quick: (packet, length, into) => served.ready.write(packet, length, into),
      answer: (packet, how) => this.#answer(served, packet, how),
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

  #answer(served: Served, packet: Buffer, how: { readonly udp: boolean }): Answering {
    try {
      const query = readQuery(packet);
      if (query === undefined) return undefined;
      if (typeof query === "number") return respondError(packet, query);
      return this.#answerLocally(served, query, how) ?? this.#forward(served, query, how);
    } catch (error) {
      return this.#failed(served, error);
    }
  }

  #answerLocally({ sandbox, ready }: Served, query: Query, how: { readonly udp: boolean }): Buffer | undefined {
    const answers = answerLocally(this.#directory, sandbox.containerId, query);
    if (answers === undefined) return undefined;
    const response = respond(query, RCODE.ok, answers, how);
    // Several are in another order each time.
    if (how.udp && answers.length < 2) ready.put(query.packet, response);
    return response;
  }

  #failed({ sandbox }: Served, error: unknown): undefined {
    this.#options.logger.log("warn", "a name could not be looked up", {
      container: sandbox.containerId,
      error: errorMessage(error),
    });
  }

  #forward(served: Served, query: Query, how: { readonly udp: boolean }): Answering {
    const { containerId, config } = served.sandbox;
    if (!this.#directory.reachesOut(containerId)) return respond(query, RCODE.serverFailure, [], how);
    // Who asks for search domains by a number of dots wants them tried instead.
    if (config.ndots && !query.name.includes(".")) return respond(query, RCODE.nameError, [], how);
    const route = this.#routeOf(config.dns, served.netns);
    return (
      this.#forwarder.known(query, route, how) ??
      this.#forwarder
        .ask(query, route, how)
        .then((answer) => answer ?? respond(query, RCODE.serverFailure, [], how))
        .catch((error) => this.#failed(served, error))
    );
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
