/** From a Dockerfile and a build's options to stages with sources, in the order of their needs. */
import { errorMessage } from "../../base/errors.ts";
import { HOST_PLATFORM, normalisePlatform, parsePlatform } from "../../oci/platform.ts";
import type { Platform } from "../../oci/types.ts";
import { DockerfileError } from "./errors.ts";
import { type Expansion, ExpansionError, expand } from "./expand.ts";
import type { Dockerfile, ParsedStage, Position, Range, StageInstruction, Word } from "./language.ts";
import { namesRead } from "./names-read.ts";
import { NeedCycle, needOrder, reachable } from "./needs.ts";
import type { BuildOptions, Plan, Source, Stage } from "./plan.ts";
import { readGlobalArgs, unusedArgs } from "./predefined.ts";
import { findContext, resolveBase, resolveRead, type Surroundings } from "./sources.ts";
import { collectStageNames, stageNamed } from "./stage-names.ts";
import { suggestion } from "./suggest.ts";

/** Throws DockerfileError: for names, platforms and targets that do not exist, and for stages that need each other. */
export function planBuild(dockerfile: Dockerfile, options: BuildOptions = {}): Plan {
  return new Planner(dockerfile, options).plan();
}

/** What all of a plan have in common. */
type Ground = Omit<Plan, "stages" | "target" | "order">;

class Planner {
  readonly #ground: Ground;
  readonly #target: string;
  readonly #stages: Stage[] = [];

  constructor(dockerfile: Dockerfile, options: BuildOptions) {
    const targetPlatform = normalisePlatform(options.targetPlatform ?? HOST_PLATFORM);
    const buildPlatform = normalisePlatform(options.buildPlatform ?? HOST_PLATFORM);
    const buildArgs = new Map(Object.entries(options.buildArgs ?? {}));
    this.#target = options.target ?? "";
    const targetStage = this.#target || (dockerfile.stages.at(-1)?.from.stageName ?? "");
    this.#ground = {
      dockerfile,
      targetPlatform,
      buildPlatform,
      buildArgs,
      contexts: Object.freeze([...(options.contexts ?? [])]),
      stageNames: collectStageNames(dockerfile.stages),
      globalArgs: readGlobalArgs({
        platforms: { target: targetPlatform, build: buildPlatform, targetStage },
        buildArgs,
        declared: dockerfile.globalArgs,
        expandWord: (word, end, env) => this.#expand(dockerfile, { word, end }, env).text,
      }),
      unusedArgs: Object.freeze(unusedArgs(dockerfile, buildArgs)),
      warnings: dockerfile.warnings,
    };
  }

  plan(): Plan {
    for (const stage of this.#ground.dockerfile.stages) this.#stages.push(Object.freeze(this.#stage(stage)));
    const target = this.#findTarget();
    const needs = this.#stages.map((stage) => stage.needs);
    const wanted = reachable(needs, target.index);
    const order = this.#order(needs).filter((index) => wanted.has(index));
    for (const index of order) this.#refuseLaterStages(index);
    return Object.freeze({
      ...this.#ground,
      stages: Object.freeze(this.#stages),
      target,
      order: Object.freeze(order),
    });
  }

  #stage(parsed: ParsedStage): Stage {
    const { from, index } = parsed;
    const wished = this.#platform(parsed);
    const platform = wished ?? this.#ground.targetPlatform;
    const name = from.stageName;
    const replaced = name === undefined ? undefined : findContext(name, this.#ground.contexts, platform);
    const base = Object.freeze(this.#base(parsed, platform, replaced));
    const instructions = replaced === undefined ? parsed.instructions : [];
    const reads = instructions.flatMap((instruction) => this.#stagesRead(instruction, index));
    return {
      index,
      ...(name !== undefined && { name }),
      label: name ?? `stage-${index}`,
      from,
      base,
      platform: base.kind === "stage" ? (this.#stages[base.index]?.platform ?? platform) : platform,
      instructions,
      needs: [...new Set([...(base.kind === "stage" ? [base.index] : []), ...reads])].sort((a, b) => a - b),
    };
  }

  #platform({ from }: ParsedStage): Platform | undefined {
    const { platform: word, range } = from;
    if (word === undefined) return undefined;
    const { text, unset } = this.#expandGlobal(word, range.end);
    const guess = [...unset].map((name) => suggestion(name, this.#ground.globalArgs.keys())).join("");
    if (text === "")
      throw this.#failure(`empty platform value from expression ${word.text}${guess}`, word.at, range.end);
    try {
      return parsePlatform(text);
    } catch (error) {
      const message = `failed to parse platform ${word.text}: ${errorMessage(error)}${guess}`;
      throw this.#failure(message, word.at, range.end);
    }
  }

  #base({ from, index }: ParsedStage, platform: Platform, replaced: string | undefined): Source {
    const { image, range } = from;
    const name = this.#expandGlobal(image, range.end).text;
    if (name === "") {
      const hint = "Declare the variable with ARG before the first FROM, with a default, or give it with --build-arg.";
      throw this.#failure(`base name (${image.text}) should not be blank`, image.at, range.end, hint);
    }
    if (replaced !== undefined) return { kind: "context", name: replaced };
    return this.#placed(image.at, range.end, () => resolveBase(name, this.#surroundings(index, platform)));
  }

  #surroundings(reader: number, platform: Platform): Surroundings {
    const { stageNames, contexts, dockerfile } = this.#ground;
    return { stageNames, contexts, stageCount: dockerfile.stages.length, platform, reader };
  }

  #stagesRead(instruction: StageInstruction, reader: number): number[] {
    const surroundings = this.#surroundings(reader, this.#ground.targetPlatform);
    return namesRead(instruction).flatMap(({ name, at }) => {
      const { end } = instruction.range;
      const source = this.#placed(at, end, () => resolveRead(name, surroundings));
      if (source.kind !== "stage") return [];
      if (source.index === reader) throw this.#failure(this.#circular(reader), at, end);
      return [source.index];
    });
  }

  #order(needs: readonly (readonly number[])[]): number[] {
    try {
      return needOrder(needs);
    } catch (error) {
      if (!(error instanceof NeedCycle)) throw error;
      const { start, end } = this.#fromRange(error.index);
      throw this.#failure(this.#circular(error.index), start, end);
    }
  }

  #refuseLaterStages(index: number): void {
    const stage = this.#stages[index];
    const later = stage?.needs.find((need) => need > index);
    if (stage === undefined || later === undefined) return;
    const reader = stage.instructions.find((instruction) => this.#stagesRead(instruction, index).includes(later));
    const { start, end } = reader?.range ?? this.#fromRange(index);
    throw this.#failure(laterStage(this.#label(later), this.#label(index)), start, end);
  }

  #findTarget(): Stage {
    const { stageNames } = this.#ground;
    const wanted = this.#target;
    const named = stageNamed(stageNames, wanted, this.#stages.length);
    const index = wanted === "" ? this.#stages.length - 1 : (named ?? (/^\d{1,9}$/.test(wanted) ? Number(wanted) : -1));
    const stage = this.#stages[index];
    if (stage !== undefined) return stage;
    const guess = suggestion(wanted, stageNames.keys());
    const { start, end } = this.#fromRange(this.#stages.length - 1);
    throw this.#failure(`target stage ${JSON.stringify(wanted)} could not be found${guess}`, start, end);
  }

  #fromRange(index: number): Range {
    const place = { line: 1, column: 1 };
    return this.#ground.dockerfile.stages[index]?.from.range ?? { start: place, end: place };
  }

  #label(index: number): string {
    return this.#stages[index]?.label ?? `stage-${index}`;
  }

  #circular(index: number): string {
    const label = this.#ground.dockerfile.stages[index]?.from.stageName ?? `stage-${index}`;
    return `circular dependency detected on stage: ${label}`;
  }

  #expandGlobal(word: Word, end: Position): Expansion {
    return this.#expand(this.#ground.dockerfile, { word, end }, this.#ground.globalArgs);
  }

  #expand(
    { directives, file, text }: Dockerfile,
    { word, end }: { readonly word: Word; readonly end: Position },
    env: ReadonlyMap<string, string>,
  ): Expansion {
    try {
      return expand(word.text, { env, escapeChar: directives.escape });
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      throw new DockerfileError(error.message, { file, text, range: { start: word.at, end } });
    }
  }

  /** Gives errors of names their place. */
  #placed<T>(start: Position, end: Position, resolve: () => T): T {
    try {
      return resolve();
    } catch (error) {
      throw this.#failure(errorMessage(error), start, end);
    }
  }

  #failure(message: string, start: Position, end: Position, hint?: string): DockerfileError {
    const { file, text } = this.#ground.dockerfile;
    return new DockerfileError(message, { file, text, range: { start, end } }, hint);
  }
}

/** Said of stages that come after the one that reads them. */
export function laterStage(later: string, current: string): string {
  const [from, to] = [JSON.stringify(later), JSON.stringify(current)];
  return `cannot copy from stage ${from}, it needs to be defined before current stage ${to}`;
}
