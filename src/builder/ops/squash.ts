import { rmSync } from "node:fs";
import { type Digest, digestOf } from "../../base/digest.ts";
import { newId } from "../../base/ids.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { Op, OpContext } from "../graph/graph.ts";
import type { Toolkit } from "../toolkit.ts";
import { grown, type LayeredTree, type LayerRef, layered, type Made, type Tree } from "../tree.ts";
import { ensureUnpacked, timeOf } from "./layers.ts";

/** One layer in place of all that lie between the first input, the base, and the second. */
export class SquashOp implements Op<Tree, Made> {
  readonly #tools: Toolkit;
  readonly #latest: bigint | undefined;

  constructor(tools: Toolkit, latest: bigint | undefined) {
    this.#tools = tools;
    this.#latest = latest;
  }

  async key(inputs: readonly Tree[]): Promise<Digest> {
    const chains = inputs.map((tree) => layered(tree).chainId ?? "");
    return digestOf(JSON.stringify(["squash/1", chains, this.#latest?.toString() ?? ""]));
  }

  async run([below, above]: readonly Tree[], { signal }: OpContext): Promise<Made> {
    const { snapshots, content, steps } = this.#tools;
    const [base, tree] = [layered(below), layered(above)];
    const createdAt = timeOf(this.#latest);
    const unchanged = { createdAt, parent: base.chainId, chainId: base.chainId, size: 0 };
    if (tree.chainId === undefined || tree.chainId === base.chainId) return unchanged;
    await ensureUnpacked(this.#tools, tree, signal);
    const tar = content.spare(`squash-${newId()}`);
    try {
      const made = await snapshots.difference(base.chainId, tree.chainId, { tar, signal });
      if (made === undefined) return unchanged;
      const { diffId, tarSize } = made;
      const blob = { mediaType: MEDIA.ociLayer, digest: diffId, size: tarSize };
      const { chainId } = grown(base, { createdAt, size: 0, layer: { diffId, blob } });
      steps.pin([diffId, ...(chainId === undefined ? [] : [chainId])]);
      await content.adopt(tar, { digest: diffId, size: tarSize }, false);
      const source = { path: content.path(diffId) };
      const [layer] = await snapshots.unpack([{ diffId, parent: base.chainId, source }], { signal });
      return { createdAt, parent: base.chainId, chainId, layer: { diffId, blob }, size: layer?.size ?? 0 };
    } finally {
      rmSync(tar, { force: true });
    }
  }

  /** The steps are still told of, and one more, which has the layer. */
  result([below, above]: readonly Tree[], { createdAt, layer }: Made): Tree {
    const [base, tree] = [layered(below), layered(above)];
    const steps = tree.steps.map((step) => ({ ...step, layer: undefined as LayerRef | undefined }));
    const squashed: LayeredTree = grown({ ...base, steps: [] }, { createdAt, layer, size: 0 });
    return Object.freeze({ ...squashed, steps: [...steps, ...squashed.steps] });
  }
}
