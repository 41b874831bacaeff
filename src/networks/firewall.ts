/**
 * Our nftables table, kept as it must be. Publishing a port adds elements to maps and taking it back removes them, by netlink; so do
 * networks that come and go. Where that fails the whole table is written anew. Whoever flushes the ruleset takes the table with it: the next change, or the next look, writes it again.
 */
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { applyRuleset, type Element, type ElementChange, NftSocket, type TableHead } from "../kernel/nftables.ts";
import { ipBytes, parseIp } from "./addresses.ts";
import { type BridgeRules, keyOf, type Member, membersOf } from "./bridge-sets.ts";
import type { ForeignFirewalls } from "./foreign-firewalls.ts";
import type { OpenPort, PortRecord, Protocol } from "./records.ts";
import { type FirewallState, isAny, mapOf, openSetOf, type RulesetOptions, ruleset } from "./ruleset.ts";

export interface FirewallOptions extends RulesetOptions {
  readonly logger: Logger;
  /** What must be in force now; asked when everything is written anew. */
  state(): FirewallState;
  /** Its bridges alone. */
  bridges(): readonly BridgeRules[];
  /** Tells other firewalls of the host to let our packets pass; `silent`: whether there are some whose changes nobody is told of. */
  readonly foreign: Pick<ForeignFirewalls, "befriend" | "silent">;
}

export interface PortChange {
  readonly add?: readonly PortRecord[];
  readonly remove?: readonly PortRecord[];
  readonly open?: readonly OpenPort[];
  readonly close?: readonly OpenPort[];
}

export type HostPort = Pick<PortRecord, "protocol" | "hostIp" | "hostPort">;

const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };
const LOOK_EVERY_MS = 1000;
/** Every how many looks those are asked who do not say when they changed. */
const LOOKS_AT_SILENT = 5;

export class Firewall {
  readonly #options: FirewallOptions;
  readonly #nft = new NftSocket();
  #writing: Promise<void> = Promise.resolve();
  /** The write that has not begun yet: it will see the state as it is then, so it serves all who ask until then. */
  #next: Promise<void> | undefined;
  /** What the table's sets say of bridges; undefined while nothing is known of it. */
  #bridges: ReadonlyMap<string, Member> | undefined;
  /** What tells the table's rules when they are as they must be; undefined while it must not be there. */
  #rules: string | undefined;
  #watch: NodeJS.Timeout | undefined;
  #generation: number | undefined;
  #looks = 0;

  constructor(options: FirewallOptions) {
    this.#options = options;
  }

  /** Writes the whole table, whatever was in it, in one step. */
  async rebuild(): Promise<void> {
    const write = async () => {
      this.#next = undefined;
      const state = this.#options.state();
      this.#bridges = undefined;
      await applyRuleset(ruleset(this.#options, state));
      this.#bridges = byKey(membersOf(state.bridges));
      this.#rules = this.#nft.fingerprint(this.#options.table);
      await this.#options.foreign.befriend();
      this.#watch ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    };
    if (this.#next === undefined) {
      this.#next = this.#writing.then(write, write);
      this.#writing = this.#next;
    }
    await this.#next;
  }

  /** Whether somebody changed the host's rules, and ours with them; then ours are written again. */
  #look(): void {
    if (this.#rules === undefined || this.#next !== undefined) return;
    try {
      const { table, logger, foreign } = this.#options;
      const generation = this.#nft.generation();
      this.#looks++;
      const changed = generation !== this.#generation || (this.#looks % LOOKS_AT_SILENT === 0 && foreign.silent());
      if (!changed) return;
      this.#generation = generation;
      if (this.#nft.fingerprint(table) === this.#rules) {
        void foreign.befriend().catch((error) => this.#complain(error));
        return;
      }
      logger.log("warn", "the firewall table was changed by someone else; writing it anew", { table });
      this.rebuild().catch((error) => this.#complain(error));
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    this.#options.logger.log("error", "the firewall's rules could not be kept", { error: errorMessage(error) });
  }

  /** The rules know the bridges that the state has now; the networks' rows and links are as they will be. */
  async follow(): Promise<void> {
    // A rebuild under way may have read the state before this change.
    await this.#writing.catch(() => {});
    const known = this.#bridges;
    if (known === undefined) return this.rebuild();
    const wanted = byKey(membersOf(this.#options.bridges()));
    const missing = (from: ReadonlyMap<string, Member>, other: ReadonlyMap<string, Member>) =>
      [...from].filter(([key]) => !other.has(key)).map(([, { element }]) => element);
    if (await this.#changeElements({ remove: missing(known, wanted), add: missing(wanted, known) }))
      this.#bridges = wanted;
  }

  /** The ports are in the state already; with `remove` and `close` they are out of it. Writes everything anew where the table is not as it should be. */
  async change({ add = [], remove = [], open = [], close = [] }: PortChange): Promise<void> {
    const opened = new Set(open.map(openKey));
    const closed = new Set(close.map(openKey));
    // A rebuild under way may have read the state before this change.
    await this.#writing.catch(() => {});
    await this.#changeElements({
      remove: [...this.#published(remove), ...this.#opened(close.filter((port) => !opened.has(openKey(port))))],
      add: [...this.#published(add), ...this.#opened(open.filter((port) => !closed.has(openKey(port))))],
    });
  }

  /** Whether it was done so: where the table is not as it should be all of it is written anew. */
  async #changeElements(change: Omit<ElementChange, "table">): Promise<boolean> {
    const { table, logger } = this.#options;
    try {
      this.#nft.changeElements({ table, ...change });
      return true;
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" && errnoOf(error) !== "EEXIST") throw error;
      logger.log("warn", "the firewall table was changed by someone else; writing it anew", { table });
      await this.rebuild();
      return false;
    }
  }

  #published(ports: readonly PortRecord[]): Element[] {
    return ports.flatMap((port) => {
      const map = mapOf(port);
      if (map === undefined || (!this.#options.ipv6 && port.hostIp.includes(":"))) return [];
      const value = [addressBytes(port.containerIp), portBytes(port.containerPort)];
      return [{ set: map, key: keyAt(port), value }];
    });
  }

  #opened(ports: readonly OpenPort[]): Element[] {
    return ports
      .filter(({ containerIp }) => this.#options.ipv6 || !containerIp.includes(":"))
      .map((port) => {
        const { containerIp, protocol, containerPort } = port;
        const key = [addressBytes(containerIp), Uint8Array.of(PROTOCOL_NUMBER[protocol]), portBytes(containerPort)];
        return { set: openSetOf(port), key };
      });
  }

  /**
   * The table of another engine in which this host port leads to one of its containers. One that runs holds its ports by sockets as
   * well; the rules of one that does not run, whose containers may, are all there is to tell.
   */
  rivalFor(port: HostPort): TableHead | undefined {
    const family = port.hostIp.includes(":") ? 6 : 4;
    const everywhere = { set: `published${family}`, key: keyAt({ ...port, hostIp: "0.0.0.0" }) };
    const keys = isAny(port.hostIp) ? [everywhere] : [everywhere, { set: `published${family}_at`, key: keyAt(port) }];
    return this.#nft
      .tables()
      .filter(({ name }) => name.startsWith("gantry_") && name !== this.#options.table)
      .find(({ name }) => keys.some((key) => this.#nft.has(name, key)));
  }

  /** Takes a table away, ours when none is named. Idempotent. */
  async remove(table = this.#options.table): Promise<void> {
    if (table === this.#options.table) {
      clearInterval(this.#watch);
      this.#watch = undefined;
      this.#rules = undefined;
      this.#bridges = undefined;
    }
    await applyRuleset(`add table inet ${table}\ndelete table inet ${table}\n`);
  }

  /** The tables of all engines, and of others, in the family inet. */
  tables(): TableHead[] {
    return this.#nft.tables();
  }

  close(): void {
    clearInterval(this.#watch);
    this.#nft.close();
  }
}

function keyAt({ protocol, hostIp, hostPort }: HostPort): Uint8Array[] {
  const key = [Uint8Array.of(PROTOCOL_NUMBER[protocol]), portBytes(hostPort)];
  return isAny(hostIp) ? key : [addressBytes(hostIp), ...key];
}

function openKey({ containerIp, protocol, containerPort }: OpenPort): string {
  return `${containerIp} ${protocol} ${containerPort}`;
}

function byKey(members: readonly Member[]): ReadonlyMap<string, Member> {
  return new Map(members.map((one) => [keyOf(one), one]));
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

function addressBytes(text: string): Uint8Array {
  const ip = parseIp(text);
  if (ip === undefined) throw new EngineError("invalid", `invalid IP address: ${text}`);
  return ipBytes(ip);
}
