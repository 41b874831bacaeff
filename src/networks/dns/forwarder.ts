/** Questions that others must answer: sent on to the name servers, one at a time for all who ask the same, and kept while the answer lives. */
import { AnswerCache } from "./cache.ts";
import { type Query, RCODE, redress } from "./message.ts";
import { askServer, type NameServer, type UpstreamAnswer } from "./upstream.ts";

export interface Route {
  /** In the order in which they are asked. */
  readonly servers: readonly NameServer[];
  /** What tells one list of servers from another. */
  readonly key: string;
}

/** How long one server is waited for, in the first round and in the second; the asker's own patience is 5 seconds, mostly. */
const ROUNDS_MS = [1500, 2500] as const;
/** How long a server that was silent is asked last. */
const BAD_MS = 30_000;
const MAX_PENDING = 1024;

export class Forwarder {
  readonly #cache = new AnswerCache();
  readonly #pending = new Map<string, Promise<UpstreamAnswer | undefined>>();
  readonly #badUntil = new Map<string, number>();
  #count = 0;

  /** An answer that is kept, for this asker. */
  known(query: Query, route: Route, { udp }: { readonly udp: boolean }): Buffer | undefined {
    const key = keyOf(query, route, udp);
    const cached = key === undefined ? undefined : this.#cache.get(key);
    return cached && redress(cached.packet, query, { age: cached.age, ttls: cached.ttls, udp });
  }

  /** The answer for this asker; undefined when no server gave one. */
  async ask(query: Query, route: Route, { udp }: { readonly udp: boolean }): Promise<Buffer | undefined> {
    const answer = await this.#shared(keyOf(query, route, udp), () => this.#exchange(query, route, udp));
    return answer && redress(answer.packet, query, { age: 0, ttls: [], udp });
  }

  async #shared(
    key: string | undefined,
    exchange: () => Promise<UpstreamAnswer | undefined>,
  ): Promise<UpstreamAnswer | undefined> {
    const underway = key === undefined ? undefined : this.#pending.get(key);
    if (underway !== undefined) return underway;
    if (this.#count >= MAX_PENDING) return undefined;
    this.#count++;
    const answer = exchange().finally(() => {
      this.#count--;
      if (key !== undefined) this.#pending.delete(key);
    });
    if (key === undefined) return answer;
    this.#pending.set(key, answer);
    const response = await answer;
    if (response !== undefined) this.#cache.put(key, response.packet, response);
    return response;
  }

  /** The first server's answer that is more than an excuse; an excuse when there is no better one. */
  async #exchange(query: Query, { servers }: Route, udp: boolean): Promise<UpstreamAnswer | undefined> {
    let excuse: UpstreamAnswer | undefined;
    for (const timeoutMs of ROUNDS_MS) {
      for (const server of this.#inOrder(servers)) {
        const answer = await this.#askOne(server, query, udp, timeoutMs);
        if (answer !== undefined && answer.code !== RCODE.serverFailure && answer.code !== RCODE.refused) return answer;
        excuse = answer ?? excuse;
      }
      if (excuse !== undefined) return excuse;
    }
    return excuse;
  }

  /** An asker by TCP wants all of it: what the server cuts off by UDP it is asked again by TCP. */
  async #askOne(
    server: NameServer,
    query: Query,
    udp: boolean,
    timeoutMs: number,
  ): Promise<UpstreamAnswer | undefined> {
    const answer = await askServer(server, query, { transport: "udp", timeoutMs });
    const name = nameOf(server);
    if (answer === undefined) this.#badUntil.set(name, performance.now() + BAD_MS);
    else this.#badUntil.delete(name);
    if (udp || answer?.truncated !== true) return answer;
    return (await askServer(server, query, { transport: "tcp", timeoutMs })) ?? answer;
  }

  #inOrder(servers: readonly NameServer[]): NameServer[] {
    const isBad = (server: NameServer) => Number((this.#badUntil.get(nameOf(server)) ?? 0) > performance.now());
    return [...servers].sort((a, b) => isBad(a) - isBad(b));
  }
}

/** Undefined for what is nobody else's. */
function keyOf({ name, type, class: kind, variant }: Query, route: Route, udp: boolean): string | undefined {
  return variant === undefined ? undefined : [route.key, name, type, kind, variant, udp ? "" : "tcp"].join(" ");
}

function nameOf({ address, port, netns = "" }: NameServer): string {
  return `${netns} ${address} ${port}`;
}
