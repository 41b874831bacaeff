/** The state of a stage while its instructions are evaluated: how it begins, what words mean in it. */
import { EngineError, errorMessage } from "../../base/errors.ts";
import type { ImageRunConfig } from "../../oci/types.ts";
import { envMap, withPath } from "./environment.ts";
import { DockerfileError } from "./errors.ts";
import { type ExpandOptions, type Expansion, ExpansionError, expand } from "./expand.ts";
import { Budget } from "./glob.ts";
import type { Position, StageInstruction, Word } from "./language.ts";
import { namesRead } from "./names-read.ts";
import { parseTrigger } from "./parse.ts";
import type { BaseState, Plan, Source, Stage, StageScope, StageStart } from "./plan.ts";
import { laterStage } from "./plan-build.ts";
import { resolveRead } from "./sources.ts";

/**
 * The stage's first scope, on what its base is: for `scratch` nothing need be given. The base's ONBUILD is not inherited; it is what the
 * triggers come from. Throws DockerfileError, with the FROM as its place, for triggers that are no instructions.
 */
export function beginStage(plan: Plan, stage: Stage, base: BaseState = { config: {} }): StageStart {
  const { OnBuild = [], ...config } = base.config;
  const scope: StageScope = {
    plan,
    stage,
    config: Object.freeze({ ...config, Env: withPath(config.Env ?? []) }),
    ...(base.author !== undefined && { author: base.author }),
    args: base.args ?? new Map(),
    declared: base.declared ?? new Set(base.args?.keys()),
    commandSet: false,
    workdirSet: base.workdirSet ?? false,
  };
  const triggers = OnBuild.map((text) => readTrigger(plan, stage, text));
  const needs = triggers.flatMap((trigger) => stagesOf(scope, trigger));
  return Object.freeze({
    scope: Object.freeze(scope),
    triggers: Object.freeze(triggers),
    needs: Object.freeze([...new Set(needs)].sort((a, b) => a - b)),
  });
}

const NOT_TRIGGERS = new Set(["FROM", "MAINTAINER"]);

function readTrigger({ dockerfile }: Plan, { from }: Stage, text: string): StageInstruction {
  try {
    const trigger = parseTrigger(text, dockerfile.file);
    if (trigger.kind === "ONBUILD")
      throw new EngineError("invalid", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (trigger.kind === "FROM" || NOT_TRIGGERS.has(trigger.kind))
      throw new EngineError("invalid", `${trigger.kind} isn't allowed as an ONBUILD trigger`);
    return { ...moveTo(trigger, from.range.start), range: from.range };
  } catch (error) {
    const problem = errorMessage(error).replace(/^dockerfile parse error on line \d+: /, "");
    const hint = "The image that FROM names asks for this with ONBUILD.";
    throw new DockerfileError(
      `ONBUILD trigger ${JSON.stringify(shorten(text))}: ${problem}`,
      { ...dockerfile, range: from.range },
      hint,
    );
  }
}

function shorten(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}...`;
}

/** All places in it become this one: a trigger's text is not the Dockerfile's. */
function moveTo<T>(value: T, place: Position): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map((item) => moveTo(item, place))) as T;
  if ("line" in value && "column" in value) return place as T;
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([key, item]) => [key, moveTo(item, place)]))) as T;
}

function stagesOf(scope: StageScope, instruction: StageInstruction): number[] {
  return namesRead(instruction).flatMap(({ name, at }) => {
    const source = readSource(scope, instruction, { text: name, at });
    return source.kind === "stage" ? [source.index] : [];
  });
}

/** What `--from` of an instruction means. Throws DockerfileError. */
export function readSource({ plan, stage }: StageScope, instruction: StageInstruction, name: Word): Source {
  const { stageNames, contexts, targetPlatform: platform, stages } = plan;
  const place = { ...plan.dockerfile, range: { start: name.at, end: instruction.range.end } };
  const surroundings = { stageNames, contexts, platform, stageCount: stages.length, reader: stage.index };
  let source: Source;
  try {
    source = resolveRead(name.text, surroundings);
  } catch (error) {
    throw new DockerfileError(errorMessage(error), place);
  }
  if (source.kind === "stage" && source.index >= stage.index)
    throw new DockerfileError(laterStage(stages[source.index]?.label ?? name.text, stage.label), place);
  return source;
}

/** The words of one instruction, all with the variables as they are before it. */
export class Expander {
  readonly #scope: StageScope;
  readonly #instruction: StageInstruction;
  readonly #env: ReadonlyMap<string, string>;
  readonly #unset = new Set<string>();
  readonly #budget = new Budget();

  constructor(scope: StageScope, instruction: StageInstruction) {
    this.#scope = scope;
    this.#instruction = instruction;
    this.#env = variables(scope);
  }

  get unset(): readonly string[] {
    return [...this.#unset].filter((name) => !this.#scope.declared.has(name));
  }

  text(word: Word, options: Partial<ExpandOptions> = {}): string {
    return this.#expand(word, options).text;
  }

  optional(word: Word | undefined): string | undefined {
    const text = word === undefined ? "" : this.text(word);
    return text === "" ? undefined : text;
  }

  words(word: Word): readonly string[] {
    return this.#expand(word, {}).words;
  }

  #expand(word: Word, options: Partial<ExpandOptions>): Expansion {
    const escapeChar = this.#scope.plan.dockerfile.directives.escape;
    try {
      const expansion = expand(word.text, { env: this.#env, escapeChar, budget: this.#budget, ...options });
      for (const name of expansion.unset) this.#unset.add(name);
      return expansion;
    } catch (error) {
      if (error instanceof ExpansionError) throw this.failure(error.message, word.at);
      throw error;
    }
  }

  failure(message: string, at = this.#instruction.range.start, hint?: string): DockerfileError {
    const range = { start: at, end: this.#instruction.range.end };
    return new DockerfileError(message, { ...this.#scope.plan.dockerfile, range }, hint);
  }
}

/** ENV goes before ARG, as the reference says. */
export function variables({ config: { Env = NO_ENV }, args }: StageScope): ReadonlyMap<string, string> {
  const known = VARIABLES.get(Env);
  if (known?.args === args) return known.all;
  const all = new Map([...args, ...envMap(Env)]);
  VARIABLES.set(Env, { args, all });
  return all;
}

const NO_ENV: readonly string[] = Object.freeze([]);
/** Most instructions change neither; lists and maps here are never changed in place. */
const VARIABLES = new WeakMap<
  readonly string[],
  { readonly args: ReadonlyMap<string, string>; readonly all: ReadonlyMap<string, string> }
>();

/** The scope with a changed configuration; undefined takes a field away. */
export function withConfig(scope: StageScope, change: Partial<ImageRunConfig>): StageScope {
  const entries = Object.entries({ ...scope.config, ...change }).filter(([, value]) => value !== undefined);
  return Object.freeze({ ...scope, config: Object.freeze(Object.fromEntries(entries)) });
}
