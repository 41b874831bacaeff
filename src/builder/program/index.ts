/** What `import … from "gantry/builder"` gives: images made by TypeScript, on the same graph as Dockerfiles. */
import type { Builder, BuildRequest, BuildResult } from "../builder.ts";
import type { BuildEvent } from "../progress.ts";
import { compileProgram } from "./compile.ts";
import type { Stage } from "./stage.ts";

export type { BuildResult, BuiltImage, Exporter, Vertex } from "../builder.ts";
export type { BuildEvent } from "../progress.ts";
export { agent, bind, cache, type StepMount, secret, tmpfs } from "./mounts.ts";
export { type Folder, folder, type ImageFiles, image } from "./sources.ts";
export { type CopyOptions, from, type RunOptions, Stage, scratch } from "./stage.ts";

/** As `gantry build`'s options; what the stages say themselves is left out. */
export interface BuildOptions
  extends Omit<
    BuildRequest,
    "dockerfile" | "program" | "context" | "contexts" | "target" | "buildArgs" | "secrets" | "ssh"
  > {
  readonly signal?: AbortSignal | undefined;
  /** Called in order; must not throw. */
  readonly onProgress?: ((event: BuildEvent) => void) | undefined;
}

/**
 * Builds the image that the stage describes, with the stages it needs. Post-condition: it is stored under its tags. Rejects as
 * `Builder.build`; a step that fails with a BuildError whose excerpt shows the program's steps as lines.
 */
export function build(
  engine: { readonly builder: Builder },
  stage: Stage,
  { signal, onProgress, ...options }: BuildOptions = {},
): Promise<BuildResult> {
  const { program, ...sources } = compileProgram(stage);
  const dockerfile = { text: program.text, name: program.file };
  return engine.builder.build({ ...options, ...sources, dockerfile, program }, { signal, onProgress });
}
