/**
 * A build's progress as events: what the classic text, the plain and the tty display and rawjson are drawn from.
 *
 * A vertex is announced by "vertex" (all of one plan before the first of them starts), and again each time it changes; its log comes
 * between `started` and `completed`. Times are milliseconds since the epoch.
 */
import type { Digest } from "../base/digest.ts";
import type { Range, Warning } from "./dockerfile/language.ts";

export interface Vertex {
  /** Unique within the build. */
  readonly digest: Digest;
  /** Digests of the vertices it waits for. */
  readonly inputs: readonly Digest[];
  /** "[build 2/5] RUN make", "[internal] load build context", "exporting to image". */
  readonly name: string;
  /** Where the Dockerfile has it; undefined for what no line asks for. */
  readonly step?: VertexStep | undefined;
  readonly startedAt?: number | undefined;
  readonly completedAt?: number | undefined;
  /** Found in the cache, so it did not run. */
  readonly cached?: boolean | undefined;
  /** The step failed, or was cancelled. */
  readonly error?: string | undefined;
  /** 64 hex digits of the container that runs it: " ---> Running in 1234…". */
  readonly containerId?: string | undefined;
  /** The id of the image so far, when completed: " ---> 1234…". */
  readonly imageId?: Digest | undefined;
}

export interface VertexStep {
  /** The stage's name or "stage-2", and its index in the file. */
  readonly stage: string;
  readonly stageIndex: number;
  /** From 1, among all steps that this build takes, in the file's order; FROM counts. "Step 3/8". Undefined for an added trigger. */
  readonly number?: number | undefined;
  readonly total: number;
  /** The instruction as the classic builder prints it: "RUN make -j". */
  readonly text: string;
  readonly range: Range;
  /** Changes the configuration alone: BuildKit's displays leave such steps out. */
  readonly metadata?: boolean | undefined;
  /** Which platform it is for, when the build has several. */
  readonly platform?: string | undefined;
}

export type BuildEvent =
  | { readonly type: "vertex"; readonly vertex: Vertex }
  /** What the step's process wrote: 1 standard output, 2 standard error. Not cut at lines. */
  | {
      readonly type: "log";
      readonly vertex: Digest;
      readonly stream: 1 | 2;
      readonly data: Buffer;
      readonly time: number;
    }
  /** How far a transfer is, in bytes (`total` undefined: not known); `id` names it within the vertex. */
  | {
      readonly type: "transfer";
      readonly vertex: Digest;
      readonly id: string;
      readonly current: number;
      readonly total?: number | undefined;
      readonly completed: boolean;
    }
  /** A finding of a lint rule, in `file`. */
  | { readonly type: "warning"; readonly file: string; readonly warning: Warning };
