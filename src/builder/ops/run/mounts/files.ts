import { posix } from "node:path";
import { EngineError } from "../../../../base/errors.ts";
import { newId } from "../../../../base/ids.ts";
import type { Toolkit } from "../../../toolkit.ts";
import { layered, type Tree } from "../../../tree.ts";
import { SourceTree, utf8 } from "../../files/source-tree.ts";
import { ensureUnpacked } from "../../layers.ts";
import { digestOfSelection, withSource } from "../../sources.ts";
import type { OpenMount, StepMount } from "../run.ts";

/** RUN --mount=type=bind: a part of another tree. */
export interface BindParameters {
  /** Which of the step's inputs. */
  readonly input: number;
  /** Absolute within it. */
  readonly source: string;
  readonly target: string;
  /** What is written is thrown away; the input has layers then. */
  readonly writable: boolean;
}

export function bindMount(tools: Toolkit, parameters: BindParameters): StepMount {
  const { input, source, target, writable } = parameters;
  const wish = { patterns: [source.slice(1)], excludes: [], parents: false };
  return {
    async key(inputs, { signal }) {
      return ["bind", target, writable, await digestOfSelection(tools, inputs[input], wish, signal)];
    },
    async open(inputs, { signal }): Promise<OpenMount> {
      const tree = inputs[input];
      const { root, close } = writable ? await scratchCopy(tools, tree, signal) : await view(tools, tree, signal);
      try {
        const path = inside(root, source);
        const mounts = [{ type: "bind", source: path, target, readOnly: !writable } as const];
        return { mounts, [Symbol.asyncDispose]: close };
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}

async function view(tools: Toolkit, tree: Tree | undefined, signal: AbortSignal) {
  const { source, close } = await withSource(tools, tree, signal);
  return { root: source.root, close };
}

/** The tree, writable, and gone afterwards. */
async function scratchCopy(tools: Toolkit, tree: Tree | undefined, signal: AbortSignal) {
  const { snapshots, store } = tools;
  const below = layered(tree);
  await ensureUnpacked(tools, below, signal);
  const id = newId();
  const root = store.paths.rootfs(id);
  const close = async () => {
    await snapshots.unmount(root);
    await snapshots.remove(id);
  };
  await snapshots.prepare(id, below.chainId, { bare: true });
  try {
    await snapshots.mount(id, root, { ephemeral: true });
    return { root, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where a path of a tree lies on this machine: links are followed, inside the tree. */
export function inside(root: string, path: string): string {
  using tree = new SourceTree(root);
  const real = tree.resolve(path.slice(1));
  if (real === undefined) throw new EngineError("invalid", `failed to mount ${JSON.stringify(path)}: not found`);
  return posix.join(root, utf8(real));
}
