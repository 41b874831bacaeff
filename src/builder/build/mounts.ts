import type { RunStep, Stage } from "../dockerfile/plan.ts";
import type { StepMount } from "../ops/run/run.ts";
import type { StageCompiler, TreeVertex } from "./stages.ts";

export interface PlannedMounts {
  readonly mounts: readonly StepMount[];
  readonly inputs: readonly (TreeVertex | Promise<TreeVertex>)[];
}

/** What a RUN step mounts. */
export function mountsOf(_compiler: StageCompiler, _stage: Stage, _step: RunStep): PlannedMounts {
  return { mounts: [], inputs: [] };
}
