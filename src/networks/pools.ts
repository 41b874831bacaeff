/** Which subnet a new network gets. */
import { createHash } from "node:crypto";
import { EngineError } from "../base/errors.ts";
import { type Cidr, type Family, formatCidr, formatIp, makeCidr, max, overlaps, parseCidr } from "./addresses.ts";

export interface PoolSettings {
  readonly base: string;
  /** Bits of each subnet. */
  readonly size: number;
}

/** Docker's: 172.17 … 172.31 as /16, 192.168 in /20s. */
export const DEFAULT_POOLS: readonly PoolSettings[] = [
  ...Array.from({ length: 15 }, (_, index) => ({ base: `172.${17 + index}.0.0/16`, size: 16 })),
  { base: "192.168.0.0/16", size: 20 },
];

/** The first subnet of the pools that overlaps none of `taken`; undefined when there is none. */
export function freeSubnet(pools: readonly PoolSettings[], family: Family, taken: readonly Cidr[]): Cidr | undefined {
  for (const { base, size } of pools) {
    const whole = parseCidr(base);
    if (whole === undefined || whole.family !== family || size < whole.prefix) continue;
    const found = firstFree(whole, size, taken);
    if (found !== undefined) return found;
  }
  return undefined;
}

function firstFree(whole: Cidr, size: number, taken: readonly Cidr[]): Cidr | undefined {
  for (let at = whole.first; at <= whole.last; ) {
    const candidate = makeCidr({ family: whole.family, value: at }, size);
    const obstacle = taken.find((other) => overlaps(candidate, other));
    if (obstacle === undefined) return candidate;
    // Past what is in the way, to the next subnet's beginning.
    at = max(obstacle.last, candidate.last) + 1n;
    const rest = at % (candidate.last - candidate.first + 1n);
    if (rest !== 0n) at += candidate.last - candidate.first + 1n - rest;
  }
  return undefined;
}

/** A unique local /64 (RFC 4193) that follows from the text, so that it is the same again after a restart. */
export function localIpv6Subnet(seed: string): Cidr {
  const hash = createHash("sha256").update(seed).digest("hex").slice(0, 14);
  return makeCidr({ family: 6, value: BigInt(`0xfd${hash}${"0".repeat(16)}`) }, 64);
}

/** "invalid" for a pool that Docker would not take. */
export function checkPools(pools: readonly PoolSettings[]): void {
  for (const { base, size } of pools) {
    const whole = parseCidr(base);
    if (whole === undefined) throw new EngineError("invalid", `invalid base pool ${JSON.stringify(base)}`);
    if (size < whole.prefix || size > (whole.family === 4 ? 32 : 128))
      throw new EngineError("invalid", `invalid pools size of ${size} for ${formatCidr(whole)}`);
  }
}

/** The first address after the subnet's own: what a bridge takes when nobody says otherwise. */
export function firstAddress(subnet: Cidr): string {
  return formatIp({ family: subnet.family, value: subnet.first + 1n });
}
