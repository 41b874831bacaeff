import { type Digest, digestOf } from "./digest.ts";

/** The name of a layer together with all that lies below: OCI image specification, config.md, "Layer ChainID". */
export function chainIdOf(below: Digest | undefined, diffId: Digest): Digest {
  return below === undefined ? diffId : digestOf(`${below} ${diffId}`);
}
