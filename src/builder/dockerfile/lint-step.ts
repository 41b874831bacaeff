/** The rules that need an instruction's words expanded. */
import { posix } from "node:path";
import { quote } from "../../base/go-strings.ts";
import type { PatternList } from "./ignore.ts";
import type { Warning } from "./language.ts";
import { didYouMean } from "./lint-file.ts";
import type { Evaluation, StageScope, Step } from "./plan.ts";
import { type RuleName, warning } from "./rules.ts";
import { variables } from "./scope.ts";

export interface StepFacts {
  /** Before the instruction. */
  readonly scope: StageScope;
  readonly evaluation: Evaluation;
  /** Of the context; undefined when it has none. */
  readonly ignore?: PatternList | undefined;
  /** False when the base's variables are not known: then nobody can say which are undefined. */
  readonly baseKnown?: boolean | undefined;
}

export function lintStep(facts: StepFacts): Warning[] {
  const { step } = facts.evaluation;
  return Object.entries(CHECKS).flatMap(([rule, check]) =>
    check(facts, step).map((message) => warning(rule as RuleName, message, step.range)),
  );
}

type Check = (facts: StepFacts, step: Step) => readonly string[];

const CHECKS: { readonly [Rule in RuleName]?: Check } = {
  UndefinedVar: ({ scope, evaluation, baseKnown = true }) =>
    (baseKnown ? evaluation.unset : []).map(
      (name) => `Usage of undefined variable '$${name}'${didYouMean(name, variables(scope).keys(), "$")}`,
    ),
  JSONArgsRecommended: ({ scope }, step) =>
    (step.kind === "CMD" || step.kind === "ENTRYPOINT") && step.shellForm && (scope.config.Shell ?? []).length === 0
      ? [`JSON arguments recommended for ${step.kind} to prevent unintended behavior related to OS signals`]
      : [],
  WorkdirRelativePath: ({ scope }, step) =>
    step.kind === "WORKDIR" && !scope.workdirSet && !posix.isAbsolute(step.text)
      ? [`Relative workdir ${quote(step.text)} can have unexpected results if the base image changes`]
      : [],
  ExposeProtoCasing: (_, step) =>
    portTexts(step)
      .filter((text) => /\/.*[A-Z]/.test(text))
      .map((text) => `Defined protocol '${text}' in EXPOSE instruction should be lowercase`),
  ExposeInvalidFormat: (_, step) =>
    portTexts(step)
      .filter((text) => text.includes(":"))
      .map((text) => `EXPOSE instruction should not define an IP address or host-port mapping, found '${text}'`),
  CopyIgnoredFile: ({ ignore }, step) => {
    if ((step.kind !== "COPY" && step.kind !== "ADD") || step.from !== undefined || ignore === undefined) return [];
    const word = step.kind === "COPY" ? "Copy" : "Add";
    return step.sources
      .filter((source) => source.kind === "path" && source.path !== "." && ignore.matches(source.path))
      .map(({ text }) => `Attempting to ${word} file ${quote(text)} that is excluded by .dockerignore`);
  },
};

function portTexts(step: Step): readonly string[] {
  return step.kind === "EXPOSE" ? step.texts : [];
}
