import { type Digest, digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { Below } from "../../snapshots/below.ts";
import { LayerBuilder } from "../../snapshots/layer-builder.ts";
import type { Op, OpContext } from "../graph/graph.ts";
import type { Toolkit } from "../toolkit.ts";
import { grown, layered, type Made, type Tree } from "../tree.ts";
import { nanosecondsNow } from "./copy.ts";
import { Landing } from "./files/landing.ts";
import { ensureUnpacked, storeLayer, withDraft } from "./layers.ts";

export interface FolderParameters {
  /** Absolute. */
  readonly path: string;
  readonly latest: bigint | undefined;
}

/** Makes a folder, and those on the way, unless they are there: WORKDIR. As in the classic builder they are root's. */
export class FolderOp implements Op<Tree, Made> {
  readonly #tools: Toolkit;
  readonly #parameters: FolderParameters;

  constructor(tools: Toolkit, parameters: FolderParameters) {
    this.#tools = tools;
    this.#parameters = parameters;
  }

  async key(inputs: readonly Tree[]): Promise<Digest> {
    const { path, latest } = this.#parameters;
    return digestOf(JSON.stringify(["folder/1", layered(inputs[0]).chainId ?? "", path, latest?.toString() ?? ""]));
  }

  async run(inputs: readonly Tree[], context: OpContext): Promise<Made> {
    const below = layered(inputs[0]);
    const { path, latest } = this.#parameters;
    await ensureUnpacked(this.#tools, below, context.signal);
    return withDraft(this.#tools, below.chainId, async (draft) => {
      const { snapshots } = this.#tools;
      const place = snapshots.workplace(draft.id);
      if (isThere(new Below(place.below), path))
        return storeLayer(this.#tools, draft, below.chainId, undefined, { latest });
      const builder = new LayerBuilder(place, draft.tar);
      new Landing({ place, latest, destination: path, link: false, now: nanosecondsNow() }, builder).makeDestination();
      const sealed = await snapshots.seal(draft.id, { built: builder.finish() });
      return storeLayer(this.#tools, draft, below.chainId, sealed, { latest });
    });
  }

  result(inputs: readonly Tree[], made: Made): Tree {
    return grown(layered(inputs[0]), made);
  }
}

/** "invalid", in the classic builder's words, for what is in the way and no folder. */
function isThere(below: Below, path: string): boolean {
  const real = below.resolve(path.slice(1));
  if (real === "") return true;
  const found = below.find(real);
  if (found === undefined || found.stats.isDirectory()) return found !== undefined;
  throw new EngineError("invalid", `Cannot mkdir: ${path} is not a directory`);
}
