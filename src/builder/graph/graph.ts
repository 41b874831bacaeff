/**
 * The graph's contract: steps and how they depend on each other. It knows nothing of images, containers or Dockerfiles.
 *
 *   op      what a step does: three methods. Two ops with the same key, given the same content, do the same
 *   vertex  an op, its inputs, and hints: what people are shown of it, and whether the cache may be asked. Hints are no identity
 *   key     the digest of the operation, its parameters and the content of its inputs; it can only be known when the inputs are
 *   T       what flows along the edges (a tree); S: what is kept of a step (a layer)
 *
 * A vertex is solved once in a build. Its inputs are solved side by side; then its key is asked for, and what is kept under it is taken;
 * else it runs, together with every build that wants the same key just now, when there is a free slot.
 */
import type { Digest } from "../../base/digest.ts";
import type { VertexStep } from "../progress.ts";

export interface Op<T, S> {
  /** Undefined: always run, never kept. May read content, and take some time. */
  key(inputs: readonly T[], context: OpContext): Promise<Digest | undefined>;
  run(inputs: readonly T[], context: OpContext): Promise<S>;
  /** What comes of what was kept or made; cheap. */
  result(inputs: readonly T[], made: S): T;
}

export interface OpContext {
  readonly signal: AbortSignal;
  /** What the step says; copied by nobody, so it must not be changed afterwards. */
  readonly log: (stream: 1 | 2, data: Buffer) => void;
  readonly transfer: (transfer: Transfer) => void;
  /** The container that runs the step. */
  readonly container: (id: string) => void;
}

export interface Transfer {
  readonly id: string;
  readonly current: number;
  readonly total?: number | undefined;
  readonly completed: boolean;
}

export interface Vertex<T, S> {
  readonly op: Op<T, S>;
  /** Promises: what is not planned yet (a stage whose base is being fetched). */
  readonly inputs: readonly (Vertex<T, S> | Promise<Vertex<T, S>>)[];
  readonly hints: Hints<T>;
}

export interface Hints<T> {
  /** Unique within the build. */
  readonly id: Digest;
  readonly name: string;
  readonly step?: VertexStep | undefined;
  /** Of what is no step itself: the lines that ask for it. */
  readonly askedBy?: VertexStep["range"] | undefined;
  /** Run it, whatever is kept; what comes of it replaces that. */
  readonly ignoreCache?: boolean | undefined;
  /** Nobody needs to see it. */
  readonly hidden?: boolean | undefined;
  /** Called with what it gave, before anything that needs it starts. */
  readonly onResult?: ((result: T) => void) | undefined;
  /** The id of the image so far, for progress. */
  readonly imageId?: ((result: T) => Digest | undefined) | undefined;
}

/** Where steps are kept between builds. */
export interface StepStore<S> {
  /** Counts as a use. */
  get(key: Digest): S | undefined;
  put(key: Digest, made: S, description: string): void;
}
