/** Which subnet a new network gets. */
import { createHash } from "node:crypto";
import { EngineError } from "../base/errors.ts";
import { type Cidr, type Family, formatCidr, formatIp, makeCidr, parseCidr } from "./addresses.ts";

export interface PoolSettings {
  readonly base: string;
  /** Bits of each subnet. */
  readonly size: number;
}

/**
 * Docker's address space, in Docker's order, cut finer: three /16 as Docker gives them, then 160 /20, then 768 /24. Docker's own cut (15 /16 and
 * 16 /20) is used up by thirty networks. 10.0.0.0/8 is left to the sites that route it.
 */
export const DEFAULT_POOLS: readonly PoolSettings[] = [
  ...range(17, 19).map((second) => ({ base: `172.${second}.0.0/16`, size: 16 })),
  ...range(20, 29).map((second) => ({ base: `172.${second}.0.0/16`, size: 20 })),
  ...range(30, 31).map((second) => ({ base: `172.${second}.0.0/16`, size: 24 })),
  { base: "192.168.0.0/16", size: 24 },
];

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** The first subnet of the pools that overlaps none of `taken`; undefined when there is none. */
export function freeSubnet(pools: readonly PoolSettings[], family: Family, taken: readonly Cidr[]): Cidr | undefined {
  const sorted = taken.filter((cidr) => cidr.family === family).sort((a, b) => (a.first < b.first ? -1 : 1));
  for (const { base, size } of pools) {
    const whole = parseCidr(base);
    if (whole === undefined || whole.family !== family || size < whole.prefix) continue;
    const found = firstFree(whole, size, sorted);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** One walk over what is taken, in its order: a subnet is free when what lies before it ended and what follows begins behind it. */
function firstFree(whole: Cidr, size: number, sorted: readonly Cidr[]): Cidr | undefined {
  let candidate = makeCidr({ family: whole.family, value: whole.first }, size);
  const length = candidate.last - candidate.first + 1n;
  for (const { first, last } of sorted) {
    if (last < candidate.first) continue;
    if (first > candidate.last) break;
    const past = ((last + length) / length) * length;
    if (past > whole.last) return undefined;
    candidate = makeCidr({ family: whole.family, value: past }, size);
  }
  return candidate;
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
