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
import { PASS_MARK } from "./foreign-firewalls.ts";
import type { OpenPort, PortRecord } from "./records.ts";

type ByFamily<T> = Readonly<Record<4 | 6, T>>;

export interface BridgeRules {
  readonly link: string;
  /** "172.17.0.0/16", "fd00::/64". */
  readonly subnets: readonly string[];
  /** Whether what leaves gets the host's address, and which; "": that of the interface by which it leaves. */
  readonly masquerade: ByFamily<string | undefined>;
  readonly internal: boolean;
  /** Whether its containers may talk to each other. */
  readonly icc: boolean;
  /** Whether every port may be reached at the container's own address, from where no bridge of ours is. */
  readonly unprotected: ByFamily<boolean>;
  /** Whether containers answer to pings from everywhere. */
  readonly routed: ByFamily<boolean>;
  /** Links of the host from which every port may be reached. */
  readonly trusted: readonly string[];
}

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
  const { bridges } = state;
  const families = ipv6 ? FAMILIES : ([4] as const);
  return `
add table inet ${table}
delete table inet ${table}
table inet ${table} {
${comment(owner)}
${linkSets(bridges)}
${families.map((family) => `${maps(family, state.ports)}\n${openSet(family, state.opened)}`).join("\n")}
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
  ${throughInput ? "" : "fib daddr type local jump published"}
}
chain output {
  type nat hook output priority -100; policy accept;
  ip6 daddr ::1 return
  fib daddr type local jump published
}
chain postrouting {
  type nat hook postrouting priority 100; policy accept;
${bridges.flatMap((bridge) => families.flatMap((family) => masquerade(bridge, family))).join("\n")}
}
chain inwards {
  ct state established,related accept
  ct status dnat accept
  iifname . oifname @friends accept
${families.map((family) => `  ${IP[family]} daddr . meta l4proto . th dport @open${family} accept`).join("\n")}
  ${acceptMark === undefined ? "" : `${markMatch(acceptMark)} accept`}
  iifname @bridges drop
  meta nfproto ipv4 oifname @unprotected4 accept
  meta nfproto ipv6 oifname @unprotected6 accept
  meta l4proto icmp oifname @routed4 accept
  meta l4proto icmpv6 oifname @routed6 accept
  iifname . oifname @trusted accept
  drop
}
chain forward {
  type filter hook forward priority -5; policy accept;
  ${ipv6 ? "" : "meta nfproto ipv6 accept"}
  iifname @internal oifname != @internal drop
  iifname @bridges meta mark set meta mark | ${PASS_MARK}
  oifname @bridges meta mark set meta mark | ${PASS_MARK}
  oifname @bridges jump inwards
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

function linkSets(bridges: readonly BridgeRules[]): string {
  const names = (filter: (bridge: BridgeRules) => boolean) => bridges.filter(filter).map(({ link }) => `"${link}"`);
  const pairs = bridges.flatMap(({ link, trusted }) => trusted.map((from) => `"${from}" . "${link}"`));
  return [
    set(
      "bridges",
      "ifname",
      names(() => true),
    ),
    set(
      "internal",
      "ifname",
      names(({ internal }) => internal),
    ),
    set(
      "unprotected4",
      "ifname",
      names(({ unprotected }) => unprotected[4]),
    ),
    set(
      "unprotected6",
      "ifname",
      names(({ unprotected }) => unprotected[6]),
    ),
    set(
      "routed4",
      "ifname",
      names(({ routed }) => routed[4]),
    ),
    set(
      "routed6",
      "ifname",
      names(({ routed }) => routed[6]),
    ),
    set(
      "friends",
      "ifname . ifname",
      names(({ icc }) => icc).map((name) => `${name} . ${name}`),
    ),
    set("trusted", "ifname . ifname", pairs),
  ].join("\n");
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

function masquerade({ link, subnets, masquerade: outwards, internal }: BridgeRules, family: 4 | 6): string[] {
  const ip = IP[family];
  const rules = family === 4 ? [`  oifname "${link}" ip saddr 127.0.0.0/8 masquerade`] : [];
  for (const subnet of subnets.filter((text) => text.includes(":") === (family === 6))) {
    rules.push(`  oifname "${link}" ${ip} saddr ${subnet} ct status dnat masquerade`);
    const source = outwards[family];
    if (source === undefined || internal) continue;
    rules.push(`  oifname != "${link}" ${ip} saddr ${subnet} ${source === "" ? "masquerade" : `snat to ${source}`}`);
  }
  return rules;
}
