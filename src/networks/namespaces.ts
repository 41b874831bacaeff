/**
 * Network namespaces kept ready: loopback up, and for a bridged container the pair of links made already, so that starting a
 * container only has to name an address. Making one takes the kernel a millisecond or two, which nobody should wait for.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync } from "node:fs";
import { errnoOf, errorMessage } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import type { Logger } from "../base/log.ts";
import { addVeth, deleteLink, RouteSocket, setLink } from "../kernel/netlink.ts";
import { createNetns, removeNetns } from "../kernel/netns.ts";
import type { Paths } from "../store/paths.ts";

export interface ReadyNamespace {
  readonly sandboxId: string;
  readonly path: string;
  /** Inside the namespace; the taker closes it. */
  readonly socket: RouteSocket;
  /** The pair's end on the host's side and the index of the other, eth0, inside; both up. */
  readonly pair: Pair | undefined;
}

export interface Pair {
  readonly hostLink: string;
  readonly index: number;
}

export interface PairRequest {
  readonly host: RouteSocket;
  readonly inside: RouteSocket;
  readonly path: string;
  readonly hostLink: string;
  readonly name: string;
}

const MTU = 1500;
const PLACEHOLDER_MAC = Uint8Array.of(0x02, 0x42, 0, 0, 0, 0);

/**
 * Makes a pair of links, one of them in the namespace; both are up, without addresses. The kernel lets packets through a moment after
 * a link came up, when its own work queue comes to it: the earlier before its use the better.
 */
export function makePair({ host, inside, path, hostLink, name }: PairRequest): Pair {
  const netnsFd = openSync(path, "r");
  try {
    const add = addVeth({ name: hostLink, mtu: MTU, peer: { name, mac: PLACEHOLDER_MAC, netnsFd } });
    host.run(add, setLink(hostLink, { noAutoIpv6: true, up: true }));
  } finally {
    closeSync(netnsFd);
  }
  const link = inside.link(name);
  if (link === undefined) throw new Error(`link ${name} did not appear in ${path}`);
  inside.run(setLink(link.index, { noAutoIpv6: true, up: true }));
  return { hostLink, index: link.index };
}

/** Does the work with a socket inside the namespace; nothing when there is no such namespace any more. */
export function insideOf(netns: string, work: (inside: RouteSocket) => void): void {
  let inside: RouteSocket;
  try {
    inside = new RouteSocket(netns);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "EINVAL") return;
    throw error;
  }
  try {
    work(inside);
  } finally {
    inside.close();
  }
}

export interface NamespacesOptions {
  readonly paths: Paths;
  readonly host: RouteSocket;
  readonly linkPrefix: string;
  readonly logger: Logger;
  /** How many of each kind are kept. */
  readonly ready: { readonly wired: number; readonly bare: number };
}

type Kind = "wired" | "bare";

export class Namespaces {
  readonly #options: NamespacesOptions;
  readonly #ready: Readonly<Record<Kind, ReadyNamespace[]>> = { wired: [], bare: [] };
  /** Every namespace that this process made and did not remove yet, with its pair's link on the host's side. */
  readonly #made = new Map<string, string | undefined>();
  #filling: Promise<void> | undefined;
  #disposed = false;

  constructor(options: NamespacesOptions) {
    this.#options = options;
  }

  /** A namespace that belongs to the caller from now on. */
  async take(kind: Kind): Promise<ReadyNamespace> {
    const ready = this.#ready[kind].shift() ?? (await this.#make(kind));
    this.fill();
    return ready;
  }

  path(sandboxId: string): string {
    return this.#options.paths.netns(sandboxId.slice(0, 12));
  }

  newLinkName(): string {
    return `${this.#options.linkPrefix}${randomBytes(4).toString("hex").slice(0, 7)}`;
  }

  /** Begins to make what is missing, one after another, when nothing else is to be done. */
  fill(): void {
    if (this.#filling !== undefined || this.#disposed) return;
    this.#filling = this.#fill()
      .catch((error) =>
        this.#options.logger.log("warn", "no network namespace could be made ahead", { error: errorMessage(error) }),
      )
      .finally(() => {
        this.#filling = undefined;
      });
  }

  async #fill(): Promise<void> {
    for (const kind of ["wired", "bare"] as const) {
      while (!this.#disposed && this.#ready[kind].length < this.#options.ready[kind]) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        const made = await this.#make(kind);
        if (this.#disposed) this.discard(made);
        else this.#ready[kind].push(made);
      }
    }
  }

  async #make(kind: Kind): Promise<ReadyNamespace> {
    const sandboxId = newId();
    const path = this.path(sandboxId);
    const hostLink = kind === "wired" ? this.newLinkName() : undefined;
    this.#made.set(sandboxId, hostLink);
    let socket: RouteSocket | undefined;
    try {
      await createNetns(path);
      socket = new RouteSocket(path);
      socket.run(setLink("lo", { up: true }));
      const { host } = this.#options;
      const pair =
        hostLink === undefined ? undefined : makePair({ host, inside: socket, path, hostLink, name: "eth0" });
      return { sandboxId, path, socket, pair };
    } catch (error) {
      socket?.close();
      this.remove(sandboxId);
      throw error;
    }
  }

  /** Takes a namespace away; the kernel removes its links by and by. */
  discard({ sandboxId, socket }: ReadyNamespace): void {
    socket.close();
    this.remove(sandboxId);
  }

  /** Idempotent. */
  remove(sandboxId: string): void {
    removeNetns(this.path(sandboxId));
    this.#made.delete(sandboxId);
  }

  /** The same when nothing else is to be done. What cannot be removed is told, and left to the next engine. */
  removeSoon(sandboxId: string): void {
    setImmediate(() => {
      try {
        this.remove(sandboxId);
      } catch (error) {
        this.#options.logger.log("warn", "a network namespace could not be removed", {
          path: this.path(sandboxId),
          error: errorMessage(error),
        });
      }
    });
  }

  /** Removes the namespaces and links of ours that neither the arguments nor this process know: left by a killed engine. */
  sweep(sandboxIds: ReadonlySet<string>, links: ReadonlySet<string>): void {
    const paths = new Set([...sandboxIds, ...this.#made.keys()].map((id) => this.path(id)));
    for (const name of readdirSync(this.#options.paths.netnsFolder)) {
      const path = this.#options.paths.netns(name);
      if (!paths.has(path)) removeNetns(path);
    }
    const names = new Set([...links, ...this.#made.values()]);
    const { host, linkPrefix } = this.#options;
    for (const { name } of host.links())
      if (name.startsWith(linkPrefix) && !names.has(name)) host.run(deleteLink(name));
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#filling;
    for (const kind of ["wired", "bare"] as const) for (const ready of this.#ready[kind].splice(0)) this.discard(ready);
  }
}
