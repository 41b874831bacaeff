/**
 * Other firewalls of the host. A chain that drops what is forwarded (ufw's, Docker's, an administrator's) cannot be overruled from a table of
 * our own: nftables lets any chain drop. So each such chain gets one rule at its head that lets pass what our rules have marked.
 */
import { existsSync, readFileSync } from "node:fs";
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { applyRuleset, type BaseChain, NftSocket } from "../kernel/nftables.ts";
import { run } from "../kernel/spawn.ts";

/** A bit of the packet's mark, of which nobody is known to make use. */
export const PASS_MARK = "0x20000000";
const COMMENT = "gantry: what its own rules have let pass";
/** What nft reads as a name. */
const WORD = /^[A-Za-z_][A-Za-z0-9_/\\.-]*$/;
const OURS = /^gantry_[0-9a-f]{6}$/;

interface Chain extends BaseChain {
  /** The program that keeps it; rules that it does not understand would be an error to it. */
  readonly program: string | undefined;
}

export interface ForeignFirewalls {
  /** Every chain that drops what is forwarded lets ours pass. What cannot be told so is said in the log, once. */
  befriend(): Promise<void>;
  /** Whether there are firewalls that nftables knows nothing of: their changes are not among its own. */
  silent(): boolean;
  /** Takes our rules out of the others' chains, unless another engine needs them. */
  leave(): Promise<void>;
}

export function foreignFirewalls({
  logger,
  ipv6,
}: {
  readonly logger: Logger;
  readonly ipv6: boolean;
}): ForeignFirewalls {
  const complained = new Set<string>();
  return {
    async befriend() {
      for (const chain of droppers(ipv6)) {
        const name = nameOf(chain);
        try {
          if (await letsPass(chain)) continue;
          await insert(chain);
          logger.log("info", "told another firewall to let the packets of our networks pass", { chain: name });
        } catch (error) {
          if (complained.has(name)) continue;
          complained.add(name);
          logger.log(
            "warn",
            "another firewall drops forwarded packets: containers may reach nothing until it accepts those of our bridges",
            {
              chain: name,
              error: errorMessage(error),
            },
          );
        }
      }
    },
    silent: () => legacyChains(ipv6).length > 0,
    async leave() {
      if (tables().some((name) => OURS.test(name))) return;
      for (const chain of droppers(true)) await remove(chain).catch(() => {});
    },
  };
}

function tables(): string[] {
  const socket = new NftSocket();
  try {
    return socket.tables().map(({ name }) => name);
  } finally {
    socket.close();
  }
}

function droppers(ipv6: boolean): Chain[] {
  const socket = new NftSocket();
  try {
    const chains = socket
      .baseChains()
      .filter(({ hook, drops, table }) => hook === "forward" && drops && !OURS.test(table))
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
function legacyChains(ipv6: boolean): Chain[] {
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

const MATCH = [
  "-m",
  "mark",
  "--mark",
  `${PASS_MARK}/${PASS_MARK}`,
  "-m",
  "comment",
  "--comment",
  COMMENT,
  "-j",
  "ACCEPT",
];

async function letsPass(chain: Chain): Promise<boolean> {
  if (chain.program !== undefined) return (await run(chain.program, ["-w", "-C", chain.name, ...MATCH])).code === 0;
  return (await handlesOf(chain)).length > 0;
}

async function insert(chain: Chain): Promise<void> {
  if (chain.program !== undefined) return iptables(chain.program, ["-I", chain.name, ...MATCH]);
  const match = `meta mark & ${PASS_MARK} == ${PASS_MARK} accept comment "${COMMENT}"`;
  await applyRuleset(`insert rule ${place(chain)} ${match}\n`);
}

async function remove(chain: Chain): Promise<void> {
  if (chain.program !== undefined) return iptables(chain.program, ["-D", chain.name, ...MATCH]);
  for (const handle of await handlesOf(chain)) await applyRuleset(`delete rule ${place(chain)} handle ${handle}\n`);
}

async function iptables(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(program, ["-w", ...args]);
  if (code !== 0) throw new Error(stderr.toString().trim());
}

async function handlesOf(chain: Chain): Promise<string[]> {
  const { stdout } = await run("nft", ["-a", "list", "chain", chain.family, chain.table, chain.name]);
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line.includes(`comment "${COMMENT}"`))
    .flatMap((line) => /# handle (\d+)$/.exec(line)?.[1] ?? []);
}

function place({ family, table, name }: Chain): string {
  return `${family} ${table} ${name}`;
}

function nameOf({ family, table, name, program }: Chain): string {
  return `${family} ${table} ${name}${program === undefined ? "" : ` (${program})`}`;
}
