import { copyTree } from "../../../../snapshots/copy-tree.ts";
import type { CacheMounts, CacheMountWish } from "../../../cache/mounts.ts";
import type { Toolkit } from "../../../toolkit.ts";
import type { Tree } from "../../../tree.ts";
import { withSource } from "../../sources.ts";
import type { OpenMount, StepMount } from "../run.ts";
import { inside } from "./files.ts";

export interface CacheParameters extends Omit<CacheMountWish, "description" | "fill" | "signal"> {
  readonly target: string;
  readonly writable: boolean;
  /** Which input fills a new one, if any; and where it lies there. */
  readonly input: number | undefined;
  readonly source: string;
}

/** RUN --mount=type=cache: a folder that outlives the step, shared by its id. */
export function cacheMount(tools: Toolkit, mounts: CacheMounts, parameters: CacheParameters): StepMount {
  const { id, target, sharing, writable, input, source, mode, uid, gid } = parameters;
  return {
    async key() {
      return ["cache", id, target, sharing, writable, mode, uid, gid];
    },
    async open(inputs, { signal }): Promise<OpenMount> {
      const from = input === undefined ? undefined : inputs[input];
      const fill = from === undefined ? undefined : (folder: string) => copyIn(tools, from, { source, folder, signal });
      const description = `cached mount ${target} with id ${JSON.stringify(id)}`;
      const held = await mounts.hold({ id, sharing, mode, uid, gid, description, fill, signal });
      return {
        mounts: [{ type: "bind", source: held.path, target, readOnly: !writable }],
        [Symbol.asyncDispose]: () => held.release(),
      };
    },
  };
}

async function copyIn(
  tools: Toolkit,
  tree: Tree,
  { source, folder, signal }: { readonly source: string; readonly folder: string; readonly signal: AbortSignal },
): Promise<void> {
  const opened = await withSource(tools, tree, signal);
  try {
    await copyTree(inside(opened.source.root, source), folder);
  } finally {
    await opened.close();
  }
}
