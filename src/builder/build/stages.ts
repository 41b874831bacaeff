import { type Digest, digestOf } from "../../base/digest.ts";
import type { Platform } from "../../oci/types.ts";
import type { BuildRequest } from "../builder.ts";
import type { StageInstruction } from "../dockerfile/language.ts";
import type { Plan, Stage, StageScope } from "../dockerfile/plan.ts";
import { beginStage } from "../dockerfile/scope.ts";
import type { Hints, Op, Vertex } from "../graph/graph.ts";
import type { Session } from "../graph/solver.ts";
import type { OnFailedRun } from "../ops/run/run.ts";
import { SquashOp } from "../ops/squash.ts";
import type { FetchedFolders } from "../sources/fetched.ts";
import type { Toolkit } from "../toolkit.ts";
import type { LayeredTree, Made, Tree } from "../tree.ts";
import { layered } from "../tree.ts";
import type { BaseImage, BaseImages } from "./base-images.ts";
import type { Portrait } from "./image.ts";
import { Sources } from "./sources.ts";
import { StageDraft } from "./stage-draft.ts";
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

export interface StageBase {
  readonly vertex: TreeVertex;
  readonly state: Parameters<typeof beginStage>[2];
  readonly portrait: Portrait;
  readonly origin: TreeVertex;
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
