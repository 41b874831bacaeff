import { chainIdOf } from "../base/chain-id.ts";
import type { Digest } from "../base/digest.ts";

/** The chain ids of layers: one per diff id, lowest first. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) chain.push(chainIdOf(chain.at(-1), diffId));
  return chain;
}
