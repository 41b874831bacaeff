/**
 * The host's forwarding between its interfaces, without which containers reach nothing but the host. A host that did not forward before must
 * not become a router between its other networks by it: a table of its own, shared by all engines, keeps that from happening.
 */
import { applyRuleset } from "../kernel/nftables.ts";
import { ensureSysctl, readBootId, readSysctl } from "../kernel/sysctl.ts";
import type { Family } from "./addresses.ts";
import type { Parts } from "./parts.ts";

const SWITCH = { 4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding" } as const;
const FACT = "forwarding switched on";
const GUARD = "gantry_forwarding";

type ForwardingParts = Pick<Parts, "settings" | "logger" | "records">;

/** Switches it on where the settings allow; warns where it stays off. */
export async function ensureForwarding(parts: ForwardingParts, ipv6: boolean): Promise<void> {
  const { settings, logger } = parts;
  let changed = false;
  for (const family of ipv6 ? ([4, 6] as const) : ([4] as const)) {
    if (readSysctl(SWITCH[family]) === "1") continue;
    if (settings.ipForward && ensureSysctl(SWITCH[family], "1")) {
      remember(parts, family);
      changed = true;
    } else
      logger.log("warn", `IPv${family} forwarding is disabled: containers reach only this host`, {
        sysctl: SWITCH[family],
      });
  }
  if (changed) await ensureGuard(parts);
}

/** What an engine on this data root switched on since the machine was started. */
function switchedOn({ records }: ForwardingParts): Family[] {
  const { bootId, families = [] } = JSON.parse(records.fact(FACT) ?? "{}") as { bootId?: string; families?: Family[] };
  return bootId === readBootId() ? families : [];
}

function remember(parts: ForwardingParts, family: Family): void {
  const families = [...new Set([...switchedOn(parts), family])];
  parts.records.putFact(FACT, JSON.stringify({ bootId: readBootId(), families }));
}

/** Nothing is forwarded between two links of which neither is a bridge or a pair, where forwarding is on because of an engine. Idempotent. */
export async function ensureGuard(parts: ForwardingParts): Promise<void> {
  const { settings } = parts;
  const families = switchedOn(parts);
  if (families.length === 0 || !settings.iptables || settings.ipForwardNoDrop) return;
  const chains = families.map(
    (family) => `
add chain inet ${GUARD} forward${family} { type filter hook forward priority 10; policy accept; }
flush chain inet ${GUARD} forward${family}
add rule inet ${GUARD} forward${family} meta nfproto ipv${family} meta iifkind != { "bridge", "veth" } meta oifkind != { "bridge", "veth" } drop`,
  );
  await applyRuleset(`add table inet ${GUARD}${chains.join("")}\n`);
}
