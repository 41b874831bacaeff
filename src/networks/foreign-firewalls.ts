/**
 * Other firewalls of the host. A chain that drops what is forwarded (ufw's, Docker's, an administrator's) cannot be overruled from a table of
 * our own: nftables lets any chain drop. So each such chain gets one rule at its head that lets pass what our rules have marked.
 */
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import {
  droppingChains,
  type ForeignChain,
  hasPassRule,
  insertPassRule,
  legacyChains,
  removePassRule,
} from "../kernel/foreign-chains.ts";
import { NftSocket } from "../kernel/nftables.ts";

/** A bit of the packet's mark, of which nobody is known to make use. */
export const PASS_MARK = "0x20000000";
const RULE = { mark: PASS_MARK, comment: "gantry: what its own rules have let pass" };
const isOurs = (table: string) => /^gantry_[0-9a-f]{6}$/.test(table);

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
      for (const chain of droppingChains(ipv6, isOurs)) {
        const name = nameOf(chain);
        try {
          if (await hasPassRule(chain, RULE)) continue;
          await insertPassRule(chain, RULE);
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
      if (tables().some(isOurs)) return;
      for (const chain of droppingChains(true, isOurs)) await removePassRule(chain, RULE).catch(() => {});
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

function nameOf({ family, table, name, program }: ForeignChain): string {
  return `${family} ${table} ${name}${program === undefined ? "" : ` (${program})`}`;
}
