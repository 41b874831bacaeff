import { type Digest, digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { timestampOf } from "../../base/time.ts";
import type { Platform } from "../../oci/types.ts";
import type { BuildRequest } from "../builder.ts";
import { DockerfileError, formatExcerpt } from "../dockerfile/errors.ts";
import { evaluate } from "../dockerfile/evaluate.ts";
import { historyLine } from "../dockerfile/history.ts";
import type { StageInstruction } from "../dockerfile/language.ts";
import type { Plan, Stage, StageScope, Step } from "../dockerfile/plan.ts";
import { beginStage } from "../dockerfile/scope.ts";
import { BuildError } from "../errors.ts";
import type { Hints, Op, Vertex } from "../graph/graph.ts";
import type { Session } from "../graph/solver.ts";
import type { OnFailedRun } from "../ops/run/run.ts";
import { SquashOp } from "../ops/squash.ts";
import type { FetchedFolders } from "../sources/fetched.ts";
import type { Toolkit } from "../toolkit.ts";
import type { LayeredTree, Made, Tree } from "../tree.ts";
import { layered } from "../tree.ts";
import type { BaseImage, BaseImages } from "./base-images.ts";
import { imageIdOf, type Portrait } from "./image.ts";
import { Sources } from "./sources.ts";
import { opOf, type PlannedOp } from "./steps.ts";
import type { BuildWarnings } from "./warnings.ts";

export type TreeVertex = Vertex<Tree, Made>;

/** What the graph of one build is made for. */
export interface Orders {
  readonly plan: Plan;
  readonly request: BuildRequest;
  readonly warnings: BuildWarnings;
  /** Nanoseconds since the epoch. */
  readonly latest: bigint | undefined;
  /** Added to what the vertices are called, when the build has several platforms. */
  readonly platformName: string | undefined;
}

/** A stage whose steps are known. */
export interface CompiledStage {
  readonly last: TreeVertex;
  readonly scope: StageScope;
  readonly portrait: Portrait;
  /** The FROM of the image, or of nothing, that it is based on in the end. */
  readonly origin: TreeVertex;
}

/** Makes vertices of stages. Each stage is compiled once, as soon as what it is based on is known. */
export class StageCompiler {
  readonly tools: Toolkit;
  readonly orders: Orders;
  readonly session: Session<Tree, Made>;
  readonly bases: BaseImages;
  readonly onFailed: OnFailedRun;
  readonly fetched: FetchedFolders;
  readonly sources: Sources;
  readonly #stages = new Map<number, Promise<CompiledStage>>();
  readonly #numbers: ReadonlyMap<StageInstruction | Stage, number>;
  readonly total: number;
  readonly onResult: (tree: LayeredTree) => void;

  constructor(options: {
    readonly tools: Toolkit;
    readonly orders: Orders;
    readonly session: Session<Tree, Made>;
    readonly bases: BaseImages;
    readonly onFailed: OnFailedRun;
    readonly fetched: FetchedFolders;
    /** Called with each tree that the build comes to rely on. */
    readonly onResult: (tree: LayeredTree) => void;
  }) {
    this.tools = options.tools;
    this.orders = options.orders;
    this.session = options.session;
    this.bases = options.bases;
    this.onFailed = options.onFailed;
    this.fetched = options.fetched;
    this.onResult = options.onResult;
    this.sources = new Sources(this);
    const { numbers, total } = numberSteps(options.orders);
    this.#numbers = numbers;
    this.total = total;
  }

  stage(index: number): Promise<CompiledStage> {
    const known = this.#stages.get(index);
    if (known !== undefined) return known;
    const compiling = this.#compile(this.orders.plan.stages[index] as Stage);
    compiling.catch(() => {});
    this.#stages.set(index, compiling);
    return compiling;
  }

  /** What all layers of a stage that its base has not become one in. */
  squashed({ last, origin, portrait }: CompiledStage): { readonly vertex: TreeVertex; readonly portrait: Portrait } {
    const hints = { id: this.vertexId(["squash"]), name: "squashing layers" };
    const onResult = (tree: Tree) => this.onResult(layered(tree));
    const op = new SquashOp(this.tools, this.orders.latest);
    const vertex = Object.freeze({ op, inputs: [origin, last], hints: { ...hints, onResult } });
    return { vertex, portrait: { ...portrait, squashed: "merge of the build's layers" } };
  }

  numberOf(what: StageInstruction | Stage): number | undefined {
    return this.#numbers.get(what);
  }

  async #compile(stage: Stage): Promise<CompiledStage> {
    const { plan } = this.orders;
    const base = await this.#base(stage);
    const { scope, triggers } = beginStage(plan, stage, base.state);
    const draft = new StageDraft(this, stage, base, scope);
    for (const instruction of [...triggers, ...stage.instructions]) draft.add(instruction);
    if (stage === plan.target) draft.addLabels();
    await this.session.announce(draft.vertices);
    return draft.finish();
  }

  async #base(stage: Stage): Promise<StageBase> {
    const source = stage.base;
    if (source.kind === "stage") {
      const { last, scope, portrait, origin } = await this.stage(source.index);
      const vertex = this.#from(stage, { inputs: [last], op: new PassOp(), portrait });
      return { vertex, state: scope, portrait, origin };
    }
    const vertex = this.#from(stage, await this.sources.base(stage, source));
    await this.session.announce([vertex]);
    const found = await this.sources.baseImage(vertex, source);
    const portrait = this.#portrait(stage, found);
    const { config = {}, author } = found?.image.config ?? {};
    return { vertex, state: { config, author }, portrait, origin: vertex };
  }

  #portrait(stage: Stage, found: BaseImage | undefined): Portrait {
    const base = found?.image.config;
    return {
      base,
      platform: base === undefined ? stage.platform : platformOf(base),
      config: base?.config ?? {},
      author: base?.author,
      words: [],
      created: undefined,
    };
  }

  #from(
    stage: Stage,
    { op, inputs, portrait }: { op: Op<Tree, Made>; inputs: readonly TreeVertex[]; portrait?: Portrait | undefined },
  ): TreeVertex {
    const text = `FROM ${stage.from.image.text}${stage.from.as === undefined ? "" : ` AS ${stage.name}`}`;
    const step = {
      stage: stage.label,
      stageIndex: stage.index,
      number: this.numberOf(stage),
      total: this.total,
      text: stage.from.source,
      range: stage.from.range,
      platform: this.orders.platformName,
    };
    const hints: Hints<Tree> = {
      id: this.vertexId(["from", stage.index, text]),
      name: this.nameOf(stage, 1, text),
      step,
      onResult: (tree) => this.onResult(layered(tree)),
      imageId: (tree) => this.sources.imageIdOf(op, layered(tree), portrait),
    };
    return Object.freeze({ op, inputs, hints });
  }

  vertexId(parts: readonly unknown[]): Digest {
    return digestOf(JSON.stringify([this.orders.platformName ?? "", ...parts]));
  }

  /** As BuildKit names vertices: "[build 2/5] RUN make"; without the stage's name when there is only one without a name. */
  nameOf(stage: Stage, at: number, text: string): string {
    const { plan, platformName } = this.orders;
    const counted = stage.instructions.filter(({ kind }) => COUNTED.has(kind)).length + 1;
    const only = plan.stages.length === 1 && stage.name === undefined;
    const words = [platformName, only ? undefined : stage.label, at === 0 ? undefined : `${at}/${counted}`];
    const place = words.filter((word) => word !== undefined).join(" ");
    return place === "" ? text : `[${place}] ${text}`;
  }
}

/** Instructions that BuildKit counts: those that may change the tree. */
export const COUNTED: ReadonlySet<StageInstruction["kind"]> = new Set(["RUN", "COPY", "ADD", "WORKDIR"]);

interface StageBase {
  readonly vertex: TreeVertex;
  readonly state: Parameters<typeof beginStage>[2];
  readonly portrait: Portrait;
  readonly origin: TreeVertex;
}

interface Pushed extends PlannedOp {
  readonly instruction: StageInstruction;
  readonly number: number | undefined;
}

/** One stage being compiled. */
class StageDraft {
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

function platformOf({ os, architecture, variant }: Platform): Platform {
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

/** Numbers in the file's order of what this build does; what is left out has none. */
function numberSteps({ plan, request }: Orders): {
  readonly numbers: ReadonlyMap<StageInstruction | Stage, number>;
  readonly total: number;
} {
  const numbers = new Map<StageInstruction | Stage, number>();
  let next = plan.dockerfile.globalArgs.length + 1;
  for (const index of [...plan.order].sort((a, b) => a - b)) {
    const stage = plan.stages[index] as Stage;
    numbers.set(stage, next++);
    for (const instruction of stage.instructions) numbers.set(instruction, next++);
  }
  const labelled = Object.keys(request.labels ?? {}).length > 0;
  return { numbers, total: next - 1 + (labelled ? 1 : 0) };
}

/** A stage based on another: its tree as it is. */
class PassOp implements Op<Tree, Made> {
  async key(): Promise<undefined> {
    return undefined;
  }

  async run(): Promise<Made> {
    return { createdAt: "", size: 0 };
  }

  result([tree]: readonly Tree[]): Tree {
    return layered(tree);
  }
}
