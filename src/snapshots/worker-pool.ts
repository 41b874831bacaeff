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

/** Unpacks in at most two threads (more only wait for the same disk); what is small is done at once, in slices. */
export class WorkerPool {
  readonly #idle: Worker[] = [];
  readonly #waiting: ((worker: Worker) => void)[] = [];
  readonly #limit = Math.min(2, availableParallelism());
  #count = 0;

  async run(task: UnpackTask, sourceBytes: number, onProgress: (bytes: number) => void): Promise<UnpackedTree> {
    if (sourceBytes <= SMALL) return unpackFile(task, onProgress);
    const worker = await this.#take();
    try {
      return await runIn(worker, task, onProgress);
    } finally {
      this.#give(worker);
    }
  }

  async close(): Promise<void> {
    const idle = this.#idle.splice(0);
    this.#count -= idle.length;
    await Promise.all(idle.map((worker) => worker.terminate()));
  }

  async #take(): Promise<Worker> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#count < this.#limit) {
      this.#count++;
      return this.#start();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #give(worker: Worker): void {
    const next = this.#waiting.shift();
    // A worker that died (out of memory) is replaced; its thread id is gone then.
    const usable = worker.threadId > 0 ? worker : undefined;
    if (next !== undefined) {
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
