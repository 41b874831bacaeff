import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { EngineError, type ErrorKind } from "../base/errors.ts";
import { type UnpackTask, unpackFile } from "./unpack-file.ts";
import type { UnpackedTree } from "./unpacker.ts";

export type WorkerMessage =
  | { readonly kind: "progress"; readonly bytes: number }
  | { readonly kind: "done"; readonly tree: UnpackedTree }
  | { readonly kind: "failed"; readonly error: { kind: ErrorKind; message: string; hint: string | undefined } };

/** A worker costs some 10 MB; one that waits this long ends. Milliseconds. */
const IDLE = 2000;
/** Starting a worker takes longer than unpacking this much. Bytes of source. */
const SMALL = 256 << 10;

export type RunTask = (task: UnpackTask, onProgress: (bytes: number) => void) => Promise<UnpackedTree>;

/** Unpacks in at most two threads (more only wait for the same disk); what is small is done at once, in slices. */
export class WorkerPool {
  readonly #idle: Worker[] = [];
  readonly #waiting = new Set<(worker: Worker) => void>();
  readonly #limit = Math.min(2, availableParallelism());
  #count = 0;

  async run(task: UnpackTask, sourceBytes: number, onProgress: (bytes: number) => void): Promise<UnpackedTree> {
    if (this.isSmall(sourceBytes)) return unpackFile(task, onProgress);
    const run = (await this.take()) as RunTask;
    return await run(task, onProgress);
  }

  /** Not worth a thread. */
  isSmall(sourceBytes: number): boolean {
    return sourceBytes <= SMALL;
  }

  /** A thread for one task, which must be run. Undefined when `unless` resolves before one is free; rejects when that does. */
  take(unless?: Promise<unknown>): Promise<RunTask | undefined> {
    const worker = this.#free();
    if (worker !== undefined) return Promise.resolve(this.#runIn(worker));
    return new Promise((resolve, reject) => {
      const enter = (freed: Worker) => resolve(this.#runIn(freed));
      this.#waiting.add(enter);
      unless?.then(
        () => this.#waiting.delete(enter) && resolve(undefined),
        (error: unknown) => this.#waiting.delete(enter) && reject(error),
      );
    });
  }

  async close(): Promise<void> {
    const idle = this.#idle.splice(0);
    this.#count -= idle.length;
    await Promise.all(idle.map((worker) => worker.terminate()));
  }

  #free(): Worker | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined || this.#count >= this.#limit) return idle;
    this.#count++;
    return this.#start();
  }

  #runIn(worker: Worker): RunTask {
    return async (task, onProgress) => {
      try {
        return await runIn(worker, task, onProgress);
      } finally {
        this.#give(worker);
      }
    };
  }

  #give(worker: Worker): void {
    const [next] = this.#waiting;
    // A worker that died (out of memory) is replaced; its thread id is gone then.
    const usable = worker.threadId > 0 ? worker : undefined;
    if (next !== undefined) {
      this.#waiting.delete(next);
      next(usable ?? this.#start());
    } else if (usable === undefined) {
      this.#count--;
    } else {
      this.#idle.push(usable);
      setTimeout(() => this.#endIdle(usable), IDLE).unref();
    }
  }

  #endIdle(worker: Worker): void {
    const at = this.#idle.indexOf(worker);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    this.#count--;
    void worker.terminate();
  }

  #start(): Worker {
    const worker = new Worker(new URL("./unpack-worker.ts", import.meta.url), { execArgv: [], stdin: false });
    // A worker that fails ends; who waits for it hears that from "exit".
    worker.on("error", () => {});
    worker.unref();
    return worker;
  }
}

function runIn(worker: Worker, task: UnpackTask, onProgress: (bytes: number) => void): Promise<UnpackedTree> {
  worker.ref();
  const { promise, resolve, reject } = Promise.withResolvers<UnpackedTree>();
  const onMessage = (message: WorkerMessage) => {
    if (message.kind === "progress") onProgress(message.bytes);
    else if (message.kind === "done") resolve(message.tree);
    else reject(new EngineError(message.error.kind, message.error.message, { hint: message.error.hint }));
  };
  let cause: unknown;
  const onError = (error: unknown) => {
    cause = error;
  };
  const onExit = () => reject(new EngineError("internal", "the unpacking worker stopped", { cause }));
  worker.on("message", onMessage).on("error", onError).on("exit", onExit);
  worker.postMessage(task);
  return promise.finally(() => {
    worker.off("message", onMessage).off("error", onError).off("exit", onExit);
    worker.unref();
  });
}
