/** The lint rules as a whole: the `# check=` directive, what is shown, `--check`. Rules: rules.ts; checks: lint-file.ts, lint-step.ts. */
import { DockerfileError } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import type { PatternList } from "./ignore.ts";
import type { Dockerfile, Warning } from "./language.ts";
import { lintFile } from "./lint-file.ts";
import { lintStep } from "./lint-step.ts";
import type { BaseState, Plan, Stage, StageScope } from "./plan.ts";
import { EXPERIMENTAL } from "./rules.ts";
import { beginStage } from "./scope.ts";

export interface CheckOptions {
  /** Rules that say nothing. */
  readonly skip: "all" | ReadonlySet<string>;
  /** Experimental rules that speak. */
  readonly experimental: "all" | ReadonlySet<string>;
  /** A warning is an error. */
  readonly error: boolean;
}

/** Reads `# check=skip=A,B;error=true`. Throws DockerfileError. */
export function checkOptions({ directives, file, text }: Dockerfile): CheckOptions {
  const found: { -readonly [Name in keyof CheckOptions]?: CheckOptions[Name] } = {};
  for (const option of (directives.check ?? "").split(";")) {
    const equals = Math.max(option.indexOf("="), 0);
    const [name, value] = [option.slice(0, equals).trim(), option.slice(equals + 1).trim()];
    if (name === "skip" || name === "experimental") found[name] = ruleSet(value);
    else if (name === "error" && BOOLEAN.test(value)) found.error = /^(?:1|t|true)$/i.test(value);
    else if (option.trim() !== "") {
      const reason = name === "error" ? "failed to parse check option" : "invalid check option";
      const place = { line: directiveLine(text), column: 1 };
      const message = `failed to parse check options: ${reason} ${JSON.stringify(option)}`;
      throw new DockerfileError(message, { file, text, range: { start: place, end: place } });
    }
  }
  return { skip: new Set(), experimental: new Set(), error: false, ...found };
}

const BOOLEAN = /^(?:1|0|t|f|true|false|T|F|TRUE|FALSE|True|False)$/;

function ruleSet(value: string): "all" | ReadonlySet<string> {
  return value === "all" ? "all" : new Set(value.split(",").map((name) => name.trim()));
}

function directiveLine(text: string): number {
  const lines = text.split("\n", 20);
  return (
    Math.max(
      lines.findIndex((line) => /^\s*#\s*check\s*=/i.test(line)),
      0,
    ) + 1
  );
}

/** Those that the options let through, in the order of their lines, each once. */
export function selectWarnings(warnings: readonly Warning[], { skip, experimental }: CheckOptions): readonly Warning[] {
  const shown = warnings.filter(({ rule }) => {
    if (skip === "all" || skip.has(rule)) return false;
    return !EXPERIMENTAL.has(rule) || experimental === "all" || experimental.has(rule);
  });
  const once = new Map(shown.map((each) => [`${each.rule} ${each.range.start.line} ${each.message}`, each]));
  return Object.freeze([...once.values()].sort((a, b) => a.range.start.line - b.range.start.line));
}

/** "JSONArgsRecommended: JSON arguments recommended for CMD ... (line 3)". */
export function formatWarning({ rule, message, range }: Warning): string {
  return `${rule}: ${message} (line ${range.start.line})`;
}

/** What a build fails with when `# check=error=true` and there are warnings; undefined otherwise. The warnings are the selected ones. */
export function warningsError(
  { file, text }: Dockerfile,
  warnings: readonly Warning[],
  { error }: CheckOptions,
): DockerfileError | undefined {
  const [first] = warnings;
  if (!error || first === undefined) return undefined;
  const rules = [...new Set(warnings.map(({ rule }) => rule))].sort();
  return new DockerfileError(`lint violation found for rules: ${rules.join(", ")}`, { file, text, range: first.range });
}

export interface CheckFacts {
  /** What a stage's base image is, where that is known. */
  readonly baseOf?: ((stage: Stage) => BaseState | undefined) | undefined;
  readonly ignore?: PatternList | undefined;
  /** All stages, or those that the target needs. */
  readonly stages: "all" | "needed";
}

/**
 * Every warning of a Dockerfile without building it: the file's, and those of each step of each stage. Not selected yet.
 * Throws DockerfileError where a step has one.
 */
export function checkPlan(plan: Plan, facts: CheckFacts): readonly Warning[] {
  return [...checkSteps(plan, facts)].flat();
}

/** The same in pieces, the file's and those of one step after the other: whoever has others waiting can turn to them in between. */
export function* checkSteps(
  plan: Plan,
  { baseOf = () => undefined, ignore, stages }: CheckFacts,
): Generator<readonly Warning[], void> {
  const ends = new Map<number, StageScope>();
  const known = new Set<number>();
  yield lintFile(plan);
  for (const index of stages === "all" ? plan.stages.keys() : plan.order) {
    const stage = plan.stages[index];
    if (stage === undefined) continue;
    const { base } = stage;
    const below = base.kind === "stage" ? ends.get(base.index) : baseOf(stage);
    const baseKnown = base.kind === "stage" ? known.has(base.index) : base.kind === "scratch" || below !== undefined;
    if (baseKnown) known.add(index);
    const start = beginStage(plan, stage, below);
    let { scope } = start;
    for (const instruction of [...start.triggers, ...stage.instructions]) {
      const evaluation = evaluate(scope, instruction);
      yield lintStep({ scope, evaluation, ignore, baseKnown });
      scope = evaluation.scope;
    }
    ends.set(index, scope);
  }
}
