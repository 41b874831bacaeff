/** The lint rules in a build: what is shown, once; and `# check=error=true`, which makes an error of it. */
import { setImmediate } from "node:timers/promises";
import { PatternList } from "../dockerfile/ignore.ts";
import type { Dockerfile, Warning } from "../dockerfile/language.ts";
import {
  type CheckFacts,
  type CheckOptions,
  checkOptions,
  checkSteps,
  selectWarnings,
  warningsError,
} from "../dockerfile/lint.ts";
import { lintFile } from "../dockerfile/lint-file.ts";
import { lintStep } from "../dockerfile/lint-step.ts";
import type { Evaluation, Plan, StageScope } from "../dockerfile/plan.ts";

export interface CheckWish extends Pick<CheckFacts, "stages" | "baseOf"> {
  /** Lines of .dockerignore. */
  readonly ignored: readonly string[] | undefined;
}

/** All warnings of a Dockerfile without building it, in the order of its lines. Throws DockerfileError. */
export async function checkDockerfile(plan: Plan, { stages, baseOf, ignored }: CheckWish): Promise<readonly Warning[]> {
  const found: Warning[] = [];
  let turn = 0;
  for (const warnings of checkSteps(plan, { stages, baseOf, ignore: patternsOf(ignored) })) {
    found.push(...warnings);
    if (++turn % 100 === 0) await setImmediate();
  }
  return selectWarnings(found, checkOptions(plan.dockerfile));
}

const patternsOf = (lines: readonly string[] | undefined): PatternList | undefined =>
  lines === undefined ? undefined : new PatternList(lines);

/** Those of one build. */
export class BuildWarnings {
  readonly #file: Dockerfile;
  readonly #options: CheckOptions;
  readonly #ignore: PatternList | undefined;
  readonly #show: (warning: Warning) => void;
  readonly #known = new Set<string>();
  readonly #all: Warning[] = [];

  /** Throws DockerfileError for a `# check=` that means nothing, "invalid" for ignore patterns that are none. */
  constructor(file: Dockerfile, ignore: readonly string[] | undefined, show: (warning: Warning) => void) {
    this.#file = file;
    this.#options = checkOptions(file);
    this.#ignore = patternsOf(ignore);
    this.#show = show;
  }

  get all(): readonly Warning[] {
    return selectWarnings(this.#all, this.#options);
  }

  file(plan: Plan): void {
    this.#add(lintFile(plan));
  }

  step(scope: StageScope, evaluation: Evaluation): void {
    this.#add(lintStep({ scope, evaluation, ignore: this.#ignore }));
  }

  /** Throws DockerfileError when there are warnings and the file asks for errors. */
  refuse(): void {
    const error = warningsError(this.#file, this.all, this.#options);
    if (error !== undefined) throw error;
  }

  #add(warnings: readonly Warning[]): void {
    for (const warning of selectWarnings(warnings, this.#options)) {
      const key = `${warning.rule} ${warning.range.start.line} ${warning.message}`;
      if (this.#known.has(key)) continue;
      this.#known.add(key);
      this.#all.push(warning);
      this.#show(warning);
    }
  }
}
