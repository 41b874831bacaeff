import { type Digest, digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { timestampOf } from "../../base/time.ts";
import type { BuildRequest } from "../builder.ts";
import { DockerfileError, formatExcerpt } from "../dockerfile/errors.ts";
import { evaluate } from "../dockerfile/evaluate.ts";
import { historyLine } from "../dockerfile/history.ts";
import type { StageInstruction } from "../dockerfile/language.ts";
import type { Stage, StageScope, Step } from "../dockerfile/plan.ts";
import { BuildError } from "../errors.ts";
import type { Hints } from "../graph/graph.ts";
import { layered, type Tree } from "../tree.ts";
import { imageIdOf, type Portrait } from "./image.ts";
import { COUNTED, type CompiledStage, type StageBase, type StageCompiler, type TreeVertex } from "./stages.ts";
import { opOf, type PlannedOp } from "./steps.ts";

interface Pushed extends PlannedOp {
  readonly instruction: StageInstruction;
  readonly number: number | undefined;
}

/** One stage being compiled. */
export class StageDraft {
  readonly vertices: TreeVertex[] = [];
  readonly #compiler: StageCompiler;
  readonly #stage: Stage;
  readonly #words: ((note: string) => string)[];
  readonly #base: StageBase;
  #scope: StageScope;
  #last: TreeVertex;
  #counted = 1;

  constructor(compiler: StageCompiler, stage: Stage, base: StageBase, scope: StageScope) {
    this.#compiler = compiler;
    this.#stage = stage;
    this.#base = base;
    this.#scope = scope;
    this.#last = base.vertex;
    this.#words = [...base.portrait.words];
    this.vertices.push(base.vertex);
  }

  add(instruction: StageInstruction, number = this.#compiler.numberOf(instruction)): void {
    const evaluation = evaluate(this.#scope, instruction);
    this.#compiler.orders.warnings.step(this.#scope, evaluation);
    const { step, scope } = evaluation;
    this.#scope = scope;
    this.#words.push((content) => historyLine(step, { style: "classic", scope, content }));
    const words = historyLine(step, { style: "classic", scope });
    const op = this.#opOf(step, this.#state(words));
    this.#push(step, { instruction, number, ...op });
  }

  /** What cannot be planned fails with the lines that ask for it. */
  #opOf(step: Step, state: Digest): PlannedOp {
    try {
      return opOf(this.#compiler, this.#stage, step, state);
    } catch (error) {
      if (!(error instanceof EngineError) || error instanceof DockerfileError) throw error;
      const { file, text } = this.#compiler.orders.plan.dockerfile;
      const excerpt = formatExcerpt({ file, text, range: step.range });
      throw new BuildError(error, { id: undefined, exitCode: undefined, file, range: step.range, excerpt }, undefined);
    }
  }

  /** `--label`: one more instruction at the end, as the classic builder has it. */
  addLabels(): void {
    const labels = Object.entries(this.#compiler.orders.request.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    if (labels.length === 0) return;
    const { range } = this.#stage.instructions.at(-1) ?? this.#stage.from;
    const word = (text: string) => ({ text: quoted(text), at: range.end });
    const pairs = labels.map(([name, value]) => ({ name: word(name), value: word(value) }));
    const source = `LABEL ${labels.map(([name, value]) => `${name}=${value}`).join(" ")}`;
    const common = { keyword: "LABEL", range, source, comments: [], legacy: false };
    this.add({ kind: "LABEL", ...common, pairs }, this.#compiler.total);
  }

  finish(): CompiledStage {
    const { origin } = this.#base;
    return Object.freeze({ last: this.#last, scope: this.#scope, portrait: this.#portrait(), origin });
  }

  /** What the configuration is with a step of these words, for the keys of steps that change nothing else. */
  #state(words: string): Digest {
    const { config, author } = this.#scope;
    return digestOf(JSON.stringify([this.#base.portrait.base?.history ?? [], config, author ?? "", words]));
  }

  #push(step: Step, { instruction, number, op, inputs }: Pushed): void {
    const compiler = this.#compiler;
    const metadata = !COUNTED.has(step.kind);
    if (!metadata) this.#counted++;
    const text = instruction.source;
    const portrait = this.#portrait();
    const hints: Hints<Tree> = {
      id: compiler.vertexId([this.#stage.index, this.vertices.length, text]),
      name: compiler.nameOf(this.#stage, metadata ? 0 : this.#counted, text),
      step: {
        stage: this.#stage.label,
        stageIndex: this.#stage.index,
        number,
        total: compiler.total,
        text,
        range: step.range,
        metadata,
        platform: compiler.orders.platformName,
      },
      ignoreCache: ignoresCache(compiler.orders.request, this.#stage),
      onResult: (tree) => compiler.onResult(layered(tree)),
      imageId: (tree) => imageIdOf(portrait, layered(tree)),
    };
    this.#last = Object.freeze({ op, inputs: [this.#last, ...inputs], hints });
    this.vertices.push(this.#last);
  }

  #portrait(): Portrait {
    const { latest } = this.#compiler.orders;
    const { config, author } = this.#scope;
    const created = latest === undefined ? undefined : timestampOf(latest);
    return { ...this.#base.portrait, config, author, words: [...this.#words], created };
  }
}

/** So that nothing in it means anything to who expands it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}

function ignoresCache({ noCache }: BuildRequest, stage: Stage): boolean {
  if (typeof noCache === "boolean" || noCache === undefined) return noCache === true;
  return noCache.some((name) => name.toLowerCase() === stage.name || name === String(stage.index));
}
