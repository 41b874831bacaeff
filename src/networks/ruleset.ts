/**
 * Our nftables table as text: one per engine, family inet.
 *
 *   raw          containers do not reach the host's 127.0.0.0/8, although route_localnet is on for their bridge
 *   prerouting   a published port's packets, from outside and from containers, get the container's address: one map lookup
 *   output       the same for the host's own packets, 127.0.0.1 included; not ::1, whose answers the kernel would not take back
 *   postrouting  containers' packets leave with the host's address; a published port reached from its own bridge or from
 *                loopback sees the gateway, so that the answer comes back the same way; everyone else's address is kept
 *   forward      towards containers: answers, published ports, neighbours on the same bridge; nothing else. What passes is marked, so
 *                that other firewalls can be told to let it pass too
 */
import { BRIDGE_MAPS, BRIDGE_SETS, type BridgeRules, type Member, membersOf } from "./bridge-sets.ts";
import { PASS_MARK } from "./foreign-firewalls.ts";
import type { OpenPort, PortRecord } from "./records.ts";

export interface FirewallState {
  readonly bridges: readonly BridgeRules[];
  readonly ports: readonly PortRecord[];
  readonly opened: readonly OpenPort[];
}

export interface RulesetOptions {
  readonly table: string;
  /** Written at the table: whose it is. */
  readonly owner: string;
  readonly ipv6: boolean;
  /** Whether what comes from outside goes through the host's own input rules, to a process that passes it on. */
  readonly throughInput: boolean;
  /** "0x1" or "0x1/0x3": packets with this mark are let pass to every container. */
  readonly acceptMark: string | undefined;
}

const FAMILIES = [4, 6] as const;
const IP = { 4: "ip", 6: "ip6" } as const;

/** Replaces the table, whatever was in it, in one step. */
export function ruleset(options: RulesetOptions, state: FirewallState): string {
  const { table, owner, ipv6, throughInput, acceptMark } = options;
  const families = ipv6 ? FAMILIES : ([4] as const);
  return `
add table inet ${table}
delete table inet ${table}
table inet ${table} {
${comment(owner)}
${bridgeSets(membersOf(state.bridges))}
${families.map((family) => `${maps(family, state.ports)}\n${openSet(family, state.opened)}`).join("\n")}
chain raw {
  type filter hook prerouting priority -300; policy accept;
  iif @bridges ip daddr 127.0.0.0/8 drop
}
chain published {
${families.map(lookups).join("\n")}
}
chain prerouting {
  type nat hook prerouting priority -100; policy accept;
  ip daddr 127.0.0.0/8 return
  ${throughInput ? "" : "fib daddr type local jump published"}
}
chain output {
  type nat hook output priority -100; policy accept;
  ip6 daddr ::1 return
  fib daddr type local jump published
}
chain postrouting {
  type nat hook postrouting priority 100; policy accept;
  oif @bridges ip saddr 127.0.0.0/8 masquerade
  iif . oif @same ct status dnat fib saddr type != local masquerade
  iif . oif @same return
${families.map(masquerade).join("\n")}
}
chain inwards {
  ct state established,related accept
  ct status dnat accept
  iif . oif @friends accept
${families.map((family) => `  ${IP[family]} daddr . meta l4proto . th dport @open${family} accept`).join("\n")}
  ${acceptMark === undefined ? "" : `${markMatch(acceptMark)} accept`}
  iif @bridges drop
  meta nfproto ipv4 oif @unprotected4 accept
  meta nfproto ipv6 oif @unprotected6 accept
  meta l4proto icmp oif @routed4 accept
  meta l4proto icmpv6 oif @routed6 accept
  iifname . oif @trusted accept
  drop
}
chain forward {
  type filter hook forward priority -5; policy accept;
  ${ipv6 ? "" : "meta nfproto ipv6 accept"}
  iif @internal oif != @internal drop
  iif @bridges meta mark set meta mark | ${PASS_MARK}
  oif @bridges meta mark set meta mark | ${PASS_MARK}
  oif @bridges jump inwards
}
}
`;
}

function markMatch(text: string): string {
  const [mark, mask = "0xffffffff"] = text.split("/");
  return `meta mark & ${mask} == ${mark}`;
}

/** nft takes no longer ones. */
const MAX_COMMENT = 128;

function comment(owner: string): string {
  return owner.length > MAX_COMMENT || /["\\\n]/.test(owner) ? "" : `comment "${owner}"`;
}

function bridgeSets(members: readonly Member[]): string {
  const declare = (kind: string, declarations: Readonly<Record<string, string>>) =>
    Object.entries(declarations).map(([name, declaration]) => {
      const elements = members.filter(({ element }) => element.set === name).map(({ text }) => text);
      return `${kind} ${name} { ${declaration}${listed(elements)} }`;
    });
  return [...declare("set", BRIDGE_SETS), ...declare("map", BRIDGE_MAPS)].join("\n");
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

/** The map that a port is an element of; undefined for one that the kernel cannot translate: from one family to the other. */
export function mapOf({ hostIp, containerIp }: PortRecord): string | undefined {
  const family = containerIp.includes(":") ? 6 : 4;
  if (hostIp.includes(":") !== (family === 6)) return undefined;
  return `published${family}${isAny(hostIp) ? "" : "_at"}`;
}

export function isAny(hostIp: string): boolean {
  return hostIp === "0.0.0.0" || hostIp === "::";
}

function elementText({ protocol, hostIp, hostPort, containerIp, containerPort }: PortRecord): string {
  const key = `${protocol} . ${hostPort}`;
  return `${isAny(hostIp) ? key : `${hostIp} . ${key}`} : ${containerIp} . ${containerPort}`;
}

export function openSetOf({ containerIp }: OpenPort): string {
  return containerIp.includes(":") ? "open6" : "open4";
}

function openSet(family: 4 | 6, opened: readonly OpenPort[]): string {
  const elements = opened
    .filter((port) => openSetOf(port) === `open${family}`)
    .map(({ containerIp, protocol, containerPort }) => `${containerIp} . ${protocol} . ${containerPort}`);
  return set(`open${family}`, `ipv${family}_addr . inet_proto . inet_service`, elements);
}

function lookups(family: 4 | 6): string {
  const ip = IP[family];
  return [
    `  meta nfproto ipv${family} dnat ${ip} to ${ip} daddr . meta l4proto . th dport map @published${family}_at`,
    `  meta nfproto ipv${family} dnat ${ip} to meta l4proto . th dport map @published${family}`,
  ].join("\n");
}

function masquerade(family: 4 | 6): string {
  const own = `${IP[family]} saddr . meta l4proto @own${family}`;
  return [`  iif @outwards${family} ${own} masquerade`, `  ${own} snat ${IP[family]} to iif map @source${family}`].join(
    "\n",
  );
}
