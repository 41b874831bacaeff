/** Chains of other firewalls, and a rule at their head: through the program that keeps them, or they would not understand themselves any more. */
import { existsSync, readFileSync } from "node:fs";
import { applyRuleset, type BaseChain, NftSocket } from "./nftables.ts";
import { run } from "./spawn.ts";

export interface ForeignChain extends BaseChain {
  /** The program that keeps it; rules that it does not understand would be an error to it. */
  readonly program: string | undefined;
}

/** What nft reads as a name. */
const WORD = /^[A-Za-z_][A-Za-z0-9_/\\.-]*$/;

/**
 * The chains of others that drop what is forwarded unless they accept it themselves: base chains of nftables whose policy it is, but those of
 * tables that `ours` knows, and those of the old iptables, which nftables does not see.
 */
export function droppingChains(ipv6: boolean, ours: (table: string) => boolean): ForeignChain[] {
  const socket = new NftSocket();
  try {
    const chains = socket
      .baseChains()
      .filter(({ hook, drops, table }) => hook === "forward" && drops && !ours(table))
      .filter(({ table, name }) => WORD.test(table) && WORD.test(name))
      .filter(({ family }) => family === "ip" || family === "inet" || (family === "ip6" && ipv6))
      .map((chain) => ({ ...chain, program: keeperOf(chain) }));
    return [...chains, ...legacyChains(ipv6)];
  } finally {
    socket.close();
  }
}

/** iptables' nf_tables variant keeps its chains in tables of these names. */
function keeperOf({ family, table, name }: BaseChain): string | undefined {
  if (table !== "filter" || name !== "FORWARD" || family === "inet") return undefined;
  const program = family === "ip" ? "iptables" : "ip6tables";
  return [`${program}-nft`, program].find(isInstalled);
}

/** The old iptables, which nftables knows nothing of; its chains count when it is in use at all. */
export function legacyChains(ipv6: boolean): ForeignChain[] {
  const families = [
    ["ip", "iptables-legacy", "/proc/net/ip_tables_names"],
    ["ip6", "ip6tables-legacy", "/proc/net/ip6_tables_names"],
  ] as const;
  return families
    .filter(
      ([family, program, names]) =>
        (family === "ip" || ipv6) && isInstalled(program) && read(names).split("\n").includes("filter"),
    )
    .map(([family, program]) => ({ family, table: "filter", name: "FORWARD", hook: "forward", drops: true, program }));
}

function isInstalled(program: string): boolean {
  return ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"].some((folder) =>
    existsSync(`${folder}/${program}`),
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** A rule that accepts what has a mark; the comment tells whose it is. */
export interface PassRule {
  /** One bit: "0x20000000". */
  readonly mark: string;
  /** Without quotes. */
  readonly comment: string;
}

const matchOf = ({ mark, comment }: PassRule) => [
  "-m",
  "mark",
  "--mark",
  `${mark}/${mark}`,
  "-m",
  "comment",
  "--comment",
  comment,
  "-j",
  "ACCEPT",
];

export async function hasPassRule(chain: ForeignChain, rule: PassRule): Promise<boolean> {
  if (chain.program !== undefined)
    return (await run(chain.program, ["-w", "-C", chain.name, ...matchOf(rule)])).code === 0;
  return (await handlesOf(chain, rule)).length > 0;
}

/** At the head of the chain. Rejects with the words of the program that refuses it. */
export async function insertPassRule(chain: ForeignChain, rule: PassRule): Promise<void> {
  if (chain.program !== undefined) return iptables(chain.program, ["-I", chain.name, ...matchOf(rule)]);
  const match = `meta mark & ${rule.mark} == ${rule.mark} accept comment "${rule.comment}"`;
  await applyRuleset(`insert rule ${place(chain)} ${match}\n`);
}

export async function removePassRule(chain: ForeignChain, rule: PassRule): Promise<void> {
  if (chain.program !== undefined) return iptables(chain.program, ["-D", chain.name, ...matchOf(rule)]);
  for (const handle of await handlesOf(chain, rule))
    await applyRuleset(`delete rule ${place(chain)} handle ${handle}\n`);
}

async function iptables(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(program, ["-w", ...args]);
  if (code !== 0) throw new Error(stderr.toString().trim());
}

async function handlesOf(chain: ForeignChain, { comment }: PassRule): Promise<string[]> {
  const { stdout } = await run("nft", ["-a", "list", "chain", chain.family, chain.table, chain.name]);
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line.includes(`comment "${comment}"`))
    .flatMap((line) => /# handle (\d+)$/.exec(line)?.[1] ?? []);
}

function place({ family, table, name }: ForeignChain): string {
  return `${family} ${table} ${name}`;
}
