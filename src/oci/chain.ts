/** Chain ids: the names of layers together with all that lies below (OCI image specification, "Layer ChainID"). */
import { type Digest, digestOf } from "../base/digest.ts";

/** Of one layer on what lies below. */
export function chainIdOf(below: Digest | undefined, diffId: Digest): Digest {
  return below === undefined ? diffId : digestOf(`${below} ${diffId}`);
}

/** One per diff id, lowest first. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) chain.push(chainIdOf(chain.at(-1), diffId));
  return chain;
}
