/** Chain ids: the names of layers together with all that lies below (OCI image specification, "Layer ChainID"). */
import { type Digest, digestOf } from "../base/digest.ts";

/** One per diff id, lowest first. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}
