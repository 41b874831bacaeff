import type { Range } from "../dockerfile/language.ts";
import type { BindMount, CacheMount, Mount, RunStep, Stage } from "../dockerfile/plan.ts";
import { CopyOp } from "../ops/copy.ts";
import { cacheMount } from "../ops/run/mounts/cache.ts";
import { bindMount } from "../ops/run/mounts/files.ts";
import { scriptMount, secretMount, sshMount, tmpfsMount } from "../ops/run/mounts/given.ts";
import type { StepMount } from "../ops/run/run.ts";
import type { StageCompiler, TreeVertex } from "./stages.ts";

export interface PlannedMounts {
  readonly mounts: readonly StepMount[];
  /** After the tree that the step lies on. */
  readonly inputs: readonly (TreeVertex | Promise<TreeVertex>)[];
}

/** What a RUN step mounts, and the trees that takes. */
export function mountsOf(compiler: StageCompiler, stage: Stage, step: RunStep): PlannedMounts {
  const planner = new MountPlanner(compiler, stage, step.range);
  const mounts = step.mounts.map((mount) => planner.mount(mount));
  if (step.script !== undefined) mounts.push(scriptMount(compiler.tools, step.script));
  return { mounts, inputs: planner.inputs };
}

class MountPlanner {
  readonly inputs: (TreeVertex | Promise<TreeVertex>)[] = [];
  readonly #compiler: StageCompiler;
  readonly #stage: Stage;
  readonly #range: Range;

  constructor(compiler: StageCompiler, stage: Stage, range: Range) {
    this.#compiler = compiler;
    this.#stage = stage;
    this.#range = range;
  }

  mount(mount: Mount): StepMount {
    const { tools, orders } = this.#compiler;
    const { secrets, ssh } = orders.request;
    switch (mount.type) {
      case "bind":
        return this.#bind(mount);
      case "cache":
        return this.#cache(mount);
      case "tmpfs":
        return tmpfsMount(mount);
      case "secret":
        return secretMount(tools, mount, secrets);
      case "ssh":
        return sshMount(tools, mount, ssh);
    }
  }

  #bind({ from, source, target, writable }: BindMount): StepMount {
    const vertex = this.#compiler.sources.vertex(from, this.#stage, this.#range);
    const asLayers = writable || this.#compiler.sources.isFiltered(from);
    const input = this.#input(asLayers ? this.#copied(vertex, source) : vertex);
    return bindMount(this.#compiler.tools, { input, source, target, writable });
  }

  #cache({ from, ...mount }: CacheMount): StepMount {
    const { tools } = this.#compiler;
    const input =
      from === undefined ? undefined : this.#input(this.#compiler.sources.vertex(from, this.#stage, this.#range));
    return cacheMount(tools, tools.mounts, { ...mount, input });
  }

  #input(vertex: TreeVertex | Promise<TreeVertex>): number {
    this.inputs.push(vertex);
    return this.inputs.length;
  }

  /** The selected files in a layer of their own: what is left out is not to be seen, what is written is to be thrown away. */
  #copied(vertex: TreeVertex | Promise<TreeVertex>, source: string): TreeVertex {
    const { tools, orders, sources } = this.#compiler;
    const wish = { patterns: [source.slice(1)], excludes: [], parents: true };
    const items = [{ kind: "selection", input: 1, wish, unpack: false }] as const;
    const parameters = { items, destination: "/", chown: undefined, chmod: undefined, link: false };
    const op = new CopyOp(tools, { ...parameters, latest: orders.latest });
    const id = this.#compiler.vertexId(["mount", this.#stage.index, this.inputs.length, source, Math.random()]);
    return Object.freeze({
      op,
      inputs: [sources.scratch(), vertex],
      hints: { id, name: `[internal] prepare ${source} to be mounted`, hidden: true, askedBy: this.#range },
    });
  }
}
