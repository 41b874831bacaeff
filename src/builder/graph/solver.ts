import { randomUUID } from "node:crypto";
import type { Digest } from "../../base/digest.ts";
import { errorKind, errorMessage } from "../../base/errors.ts";
import type { BuildEvent, Vertex as ShownVertex } from "../progress.ts";
import { Flights } from "./flights.ts";
import type { OpContext, StepStore, Vertex } from "./graph.ts";
import { cancelled, Slots } from "./slots.ts";

export interface SolverOptions<S> {
  readonly steps: StepStore<S>;
  /** Steps that may run at the same time, in all builds together. */
  readonly slots: number;
}

export interface SessionOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (event: BuildEvent) => void;
}

/** Keeps elsewhere; stored here when it is found there. */
export type Importer<T, S> = (key: Digest, inputs: readonly T[], context: OpContext) => Promise<S | undefined>;

/** Solves the graphs of all builds. */
export class Solver<T, S> {
  readonly steps: StepStore<S>;
  readonly slots: Slots;
  readonly flights = new Flights<S>();

  constructor({ steps, slots }: SolverOptions<S>) {
    this.steps = steps;
    this.slots = new Slots(slots);
  }

  session(options: SessionOptions, importer?: Importer<T, S> | undefined): Session<T, S> {
    return new Session(this, options, importer);
  }
}

/** One build's view of the solver: each vertex is solved once. */
export class Session<T, S> {
  readonly #solver: Solver<T, S>;
  readonly #options: SessionOptions;
  readonly #importer: Importer<T, S> | undefined;
  readonly #announced = new Set<Vertex<T, S>>();
  readonly #results = new Map<Vertex<T, S>, Promise<T>>();
  /** What steps with keys gave, by their vertices. */
  readonly kept = new Map<Vertex<T, S>, { readonly key: Digest; readonly made: S }>();
  /** The first step that failed by itself. */
  failure: { readonly vertex: Vertex<T, S>; readonly error: unknown } | undefined;

  constructor(solver: Solver<T, S>, options: SessionOptions, importer: Importer<T, S> | undefined) {
    this.#solver = solver;
    this.#options = options;
    this.#importer = importer;
  }

  /** Shows vertices before they begin; those that were shown already, not again: it would take back how far they have come. */
  async announce(vertices: readonly Vertex<T, S>[]): Promise<void> {
    for (const vertex of vertices)
      if (!vertex.hints.hidden && !this.#announced.has(vertex)) {
        this.#announced.add(vertex);
        await this.#shown(vertex);
      }
  }

  /** Rejects with what the step, or one before it, failed with; other steps that run go on until the build's signal comes. */
  solve(vertex: Vertex<T, S>): Promise<T> {
    let result = this.#results.get(vertex);
    if (result === undefined) {
      result = this.#solve(vertex);
      // Looked at by whoever depends on it; nobody may.
      result.catch(() => {});
      this.#results.set(vertex, result);
    }
    return result;
  }

  /** Resolves when nothing of the build runs any more. */
  async settled(): Promise<void> {
    for (let count = -1; count !== this.#results.size; ) {
      count = this.#results.size;
      await Promise.allSettled(this.#results.values());
    }
  }

  async #solve(vertex: Vertex<T, S>): Promise<T> {
    const inputs = await Promise.all(vertex.inputs.map(async (input) => this.solve(await input)));
    if (this.#options.signal.aborted) throw cancelled(this.#options.signal);
    const report = await this.#report(vertex);
    try {
      const { made, cached, key } = await this.#make(vertex, inputs, report);
      if (key !== undefined) this.kept.set(vertex, { key, made });
      const result = vertex.op.result(inputs, made);
      vertex.hints.onResult?.(result);
      report.update({ completedAt: Date.now(), cached, imageId: vertex.hints.imageId?.(result) });
      return result;
    } catch (error) {
      if (errorKind(error) !== "cancelled") this.failure ??= { vertex, error };
      report.update({ completedAt: Date.now(), error: errorMessage(error) });
      throw error;
    }
  }

  async #make(vertex: Vertex<T, S>, inputs: readonly T[], report: Report): Promise<MadeStep<S>> {
    const { steps, slots, flights } = this.#solver;
    const { op, hints } = vertex;
    const key = await op.key(inputs, report.context);
    const run = (context: OpContext) => slots.run(context.signal, () => op.run(inputs, context));
    if (key === undefined) return { key, made: await run(report.context), cached: false };
    const known = hints.ignoreCache ? undefined : steps.get(key);
    if (known !== undefined) return { key, made: known, cached: true };
    const imported = hints.ignoreCache ? undefined : await this.#importer?.(key, inputs, report.context);
    if (imported !== undefined) return { key, made: imported, cached: true };
    const keep = async (context: OpContext) => {
      const made = await run(context);
      steps.put(key, made, hints.name);
      return made;
    };
    // A step that must run anew is not shared: someone else's may have begun before the reason for it.
    const name = hints.ignoreCache ? `${key} ${randomUUID()}` : key;
    return { key, made: await flights.join(name, report.context, keep), cached: false };
  }

  async #report(vertex: Vertex<T, S>): Promise<Report> {
    const { signal, onProgress } = this.#options;
    const id = vertex.hints.id;
    const hidden = vertex.hints.hidden === true;
    let shown = await this.#shown(vertex, { startedAt: Date.now() });
    const update = (change: Partial<ShownVertex>) => {
      shown = Object.freeze({ ...shown, ...change });
      if (!hidden) onProgress({ type: "vertex", vertex: shown });
    };
    const context: OpContext = {
      signal,
      log: (stream, data) => onProgress({ type: "log", vertex: id, stream, data, time: Date.now() }),
      transfer: (transfer) => onProgress({ type: "transfer", vertex: id, ...transfer }),
      container: (containerId) => update({ containerId }),
    };
    return { update, context };
  }

  async #shown({ hints, inputs }: Vertex<T, S>, change: Partial<ShownVertex> = {}): Promise<ShownVertex> {
    const digests: Digest[] = [];
    for (const input of inputs) digests.push((await input).hints.id);
    const vertex = Object.freeze({ digest: hints.id, inputs: digests, name: hints.name, step: hints.step, ...change });
    if (!hints.hidden) this.#options.onProgress({ type: "vertex", vertex });
    return vertex;
  }
}

interface MadeStep<S> {
  readonly key: Digest | undefined;
  readonly made: S;
  readonly cached: boolean;
}

interface Report {
  readonly update: (change: Partial<ShownVertex>) => void;
  readonly context: OpContext;
}
