import { setImmediate as nextTurn } from "node:timers/promises";
import { isMainThread } from "node:worker_threads";

/** Milliseconds that the event loop is held at once. */
const SLICE = 4;

/** Lets others go on from time to time; in a worker there is nobody to wait for, but an abort may come. */
export class Breath {
  readonly #stop: (() => void) | undefined;
  #until = performance.now() + SLICE;

  /** `stop` throws when the work is not wanted any more. */
  constructor(stop?: (() => void) | undefined) {
    this.#stop = stop;
  }

  /** Whether `take` is due; looking costs next to nothing. */
  get due(): boolean {
    return performance.now() > this.#until;
  }

  async take(): Promise<void> {
    this.#stop?.();
    if (isMainThread) await nextTurn();
    this.#until = performance.now() + SLICE;
  }
}
