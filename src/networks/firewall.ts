/**
 * Our nftables table: one per engine, family inet.
 *
 *   raw          containers do not reach the host's 127.0.0.0/8, although route_localnet is on for their bridge
 *   prerouting   a published port's packets, from outside and from containers, get the container's address: one map lookup
 *   output       the same for the host's own packets, 127.0.0.1 included
 *   postrouting  containers' packets leave with the host's address; a published port reached from its own bridge or from
 *                loopback sees the gateway, so that the answer comes back the same way; everyone else's address is kept
 *   forward      towards containers: answers, published ports, neighbours on the same bridge; nothing else
 *
 * Publishing adds an element to a map and taking back removes it. Whoever flushes the ruleset takes the table with it: the next
 * change, or the next start, writes all of it again.
 */
import { EngineError, errnoOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { applyRuleset, ElementSocket, listChains, type MapElement, type TableHead } from "../kernel/nftables.ts";
import { ipBytes, parseIp } from "./addresses.ts";
import type { PortRecord, Protocol } from "./records.ts";

export interface BridgeRules {
  readonly link: string;
  /** "172.17.0.0/16", "fd00::/64". */
  readonly subnets: readonly string[];
  readonly masquerade: boolean;
  readonly internal: boolean;
  /** Whether its containers may talk to each other. */
  readonly icc: boolean;
}

export interface FirewallState {
  readonly bridges: readonly BridgeRules[];
  readonly ports: readonly PortRecord[];
}

export interface FirewallOptions {
  readonly table: string;
  /** Written at the table: whose it is. */
  readonly owner: string;
  readonly ipv6: boolean;
  readonly logger: Logger;
  /** What must be in force now; asked when everything is written anew. */
  state(): FirewallState;
}

const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

export class Firewall {
  readonly #options: FirewallOptions;
  readonly #elements = new ElementSocket();
  #writing: Promise<void> = Promise.resolve();
  /** The write that has not begun yet: it will see the state as it is then, so it serves all who ask until then. */
  #next: Promise<void> | undefined;

  constructor(options: FirewallOptions) {
    this.#options = options;
  }

  /** Writes the whole table, whatever was in it, in one step. */
  async rebuild(): Promise<void> {
    const write = () => {
      this.#next = undefined;
      return applyRuleset(ruleset(this.#options));
    };
    if (this.#next === undefined) {
      this.#next = this.#writing.then(write, write);
      this.#writing = this.#next;
    }
    await this.#next;
  }

  /** The ports are in the state already; with `remove` they are out of it. Writes everything anew where the table is not as it should be. */
  async change({
    add = [],
    remove = [],
  }: {
    add?: readonly PortRecord[];
    remove?: readonly PortRecord[];
  }): Promise<void> {
    const elements = (ports: readonly PortRecord[]) =>
      ports.filter((port) => this.#options.ipv6 || !isIpv6(port)).map(elementOf);
    try {
      // A rebuild under way may have read the state before this change.
      await this.#writing.catch(() => {});
      this.#elements.change({ table: this.#options.table, add: elements(add), remove: elements(remove) });
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" && errnoOf(error) !== "EEXIST") throw error;
      this.#options.logger.log("warn", "the firewall table was changed by someone else; writing it anew", {
        table: this.#options.table,
      });
      await this.rebuild();
    }
  }

  /** Takes a table away, ours when none is named. Idempotent. */
  async remove(table = this.#options.table): Promise<void> {
    await applyRuleset(`add table inet ${table}\ndelete table inet ${table}\n`);
  }

  close(): void {
    this.#elements.close();
  }

  /** The tables of all engines, and of others, in the family inet. */
  tables(): TableHead[] {
    return this.#elements.tables();
  }

  /** Names of other tables' chains that drop what is forwarded unless they accept it themselves: ours cannot overrule them. */
  async droppingForwarders(): Promise<string[]> {
    const chains = await listChains();
    return chains
      .filter(({ hook, policy, table }) => hook === "forward" && policy === "drop" && table !== this.#options.table)
      .map(({ family, table, name }) => `${family} ${table} ${name}`);
  }
}

function isIpv6({ containerIp }: PortRecord): boolean {
  return containerIp.includes(":");
}

function isAny(hostIp: string): boolean {
  return hostIp === "0.0.0.0" || hostIp === "::";
}

function mapOf(port: PortRecord): string {
  return `published${isIpv6(port) ? 6 : 4}${isAny(port.hostIp) ? "" : "_at"}`;
}

function elementOf(port: PortRecord): MapElement {
  const key = [Uint8Array.of(PROTOCOL_NUMBER[port.protocol]), portBytes(port.hostPort)];
  return {
    map: mapOf(port),
    key: isAny(port.hostIp) ? key : [addressBytes(port.hostIp), ...key],
    value: [addressBytes(port.containerIp), portBytes(port.containerPort)],
  };
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

function addressBytes(text: string): Uint8Array {
  const ip = parseIp(text);
  if (ip === undefined) throw new EngineError("invalid", `invalid IP address: ${text}`);
  return ipBytes(ip);
}

/** nft takes no longer ones. */
const MAX_COMMENT = 128;

function comment(owner: string): string {
  return owner.length > MAX_COMMENT || /["\\\n]/.test(owner) ? "" : `comment "${owner}"`;
}

function ruleset({ table, owner, ipv6, state }: FirewallOptions): string {
  const { bridges, ports } = state();
  const shown = ports.filter((port) => ipv6 || !isIpv6(port));
  const names = (filter: (bridge: BridgeRules) => boolean) => bridges.filter(filter).map(({ link }) => `"${link}"`);
  const families = ipv6 ? ([4, 6] as const) : ([4] as const);
  return `
add table inet ${table}
delete table inet ${table}
table inet ${table} {
${comment(owner)}
${set(
  "bridges",
  "ifname",
  names(() => true),
)}
${set(
  "internal",
  "ifname",
  names(({ internal }) => internal),
)}
${set(
  "friends",
  "ifname . ifname",
  names(({ icc }) => icc).map((name) => `${name} . ${name}`),
)}
${families.map((family) => maps(family, shown)).join("\n")}
chain raw {
  type filter hook prerouting priority -300; policy accept;
  iifname @bridges ip daddr 127.0.0.0/8 drop
}
chain published {
${families.map(lookups).join("\n")}
}
chain prerouting {
  type nat hook prerouting priority -100; policy accept;
  ip daddr 127.0.0.0/8 return
  fib daddr type local jump published
}
chain output {
  type nat hook output priority -100; policy accept;
  fib daddr type local jump published
}
chain postrouting {
  type nat hook postrouting priority 100; policy accept;
${bridges.map((bridge) => masquerade(bridge, ipv6)).join("\n")}
}
chain inwards {
  ct state established,related accept
  ct status dnat accept
  iifname . oifname @friends accept
  drop
}
chain forward {
  type filter hook forward priority 0; policy accept;
  ${ipv6 ? "" : "meta nfproto ipv6 accept"}
  oifname @bridges jump inwards
  iifname @internal drop
}
}
`;
}

function set(name: string, type: string, elements: readonly string[]): string {
  return `set ${name} { type ${type};${listed(elements)} }`;
}

function listed(elements: readonly string[]): string {
  return elements.length === 0 ? "" : ` elements = { ${elements.join(", ")} }`;
}

function maps(family: 4 | 6, ports: readonly PortRecord[]): string {
  const address = `ipv${family}_addr`;
  const declare = (name: string, key: string) => {
    const elements = ports.filter((port) => mapOf(port) === name).map(elementText);
    return `map ${name} { type ${key}inet_proto . inet_service : ${address} . inet_service;${listed(elements)} }`;
  };
  return [declare(`published${family}`, ""), declare(`published${family}_at`, `${address} . `)].join("\n");
}

function elementText({ protocol, hostIp, hostPort, containerIp, containerPort }: PortRecord): string {
  const key = `${protocol} . ${hostPort}`;
  return `${isAny(hostIp) ? key : `${hostIp} . ${key}`} : ${containerIp} . ${containerPort}`;
}

function lookups(family: 4 | 6): string {
  const ip = family === 4 ? "ip" : "ip6";
  return [
    `  meta nfproto ipv${family} dnat ${ip} to ${ip} daddr . meta l4proto . th dport map @published${family}_at`,
    `  meta nfproto ipv${family} dnat ${ip} to meta l4proto . th dport map @published${family}`,
  ].join("\n");
}

function masquerade({ link, subnets, masquerade: outwards, internal }: BridgeRules, ipv6: boolean): string {
  const rules = [`  oifname "${link}" ip saddr 127.0.0.0/8 masquerade`];
  if (ipv6) rules.push(`  oifname "${link}" ip6 saddr ::1 masquerade`);
  for (const subnet of subnets) {
    const ip = subnet.includes(":") ? "ip6" : "ip";
    if (ip === "ip6" && !ipv6) continue;
    rules.push(`  oifname "${link}" ${ip} saddr ${subnet} ct status dnat masquerade`);
    if (outwards && !internal) rules.push(`  oifname != "${link}" ${ip} saddr ${subnet} masquerade`);
  }
  return rules.join("\n");
}
