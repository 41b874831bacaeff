import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { EngineError, type ErrorKind } from "../../../base/errors.ts";
import { Slots } from "../../graph/slots.ts";
import type { CopyTask } from "./copy-files.ts";
import type { DigestTask } from "./digest.ts";
import { type FileTask, type ResultOf, runFileTask } from "./tasks.ts";

export type WorkerAnswer =
  | { readonly kind: "done"; readonly result: ResultOf<FileTask> }
  | { readonly kind: "failed"; readonly error: { kind: ErrorKind; message: string; hint: string | undefined } };

/** A worker costs some 10 MB; one that waits this long ends. Milliseconds. */
const IDLE = 30_000;

type Unstopped<Task> = Task extends FileTask ? Omit<Task, "stop"> : never;

/** Threads for work with many files. */
export class FileWorkers {
  readonly #idle: Worker[] = [];
  readonly #slots = new Slots(Math.max(2, availableParallelism()));

  digest(task: Unstopped<DigestTask>, options: RunOptions): Promise<ResultOf<DigestTask>> {
    return this.#run((stop): DigestTask => ({ ...task, stop }), options);
  }

  copy(task: Unstopped<CopyTask>, options: RunOptions): Promise<ResultOf<CopyTask>> {
    return this.#run((stop): CopyTask => ({ ...task, stop }), options);
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((worker) => worker.terminate()));
  }

  async #run<Task extends FileTask>(make: (stop: Int32Array) => Task, options: RunOptions): Promise<ResultOf<Task>> {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const onAbort = () => Atomics.store(stop, 0, 1);
    options.signal.throwIfAborted();
    options.signal.addEventListener("abort", onAbort, { once: true });
    try {
      if (options.small) return await runFileTask(make(stop));
      return await this.#slots.run(options.signal, () => this.#inWorker(make(stop)));
    } finally {
      options.signal.removeEventListener("abort", onAbort);
    }
  }

  async #inWorker<Task extends FileTask>(task: Task): Promise<ResultOf<Task>> {
    const worker = this.#idle.pop() ?? startWorker();
    try {
      return (await ask(worker, task)) as ResultOf<Task>;
    } finally {
      // A worker that died has no thread id any more.
      if (worker.threadId > 0) this.#keep(worker);
    }
  }

  #keep(worker: Worker): void {
    this.#idle.push(worker);
    setTimeout(() => {
      const at = this.#idle.indexOf(worker);
      if (at < 0) return;
      this.#idle.splice(at, 1);
      void worker.terminate();
    }, IDLE).unref();
  }
}

export interface RunOptions {
  readonly signal: AbortSignal;
  /** So little that a worker's start would take longer: done here, in slices. */
  readonly small: boolean;
}

function startWorker(): Worker {
  const worker = new Worker(new URL("./files-worker.ts", import.meta.url), {
    execArgv: [],
    stdin: false,
    trackUnmanagedFds: false,
  });
  // Who waits for it hears of its end from "exit".
  worker.on("error", () => {});
  worker.unref();
  return worker;
}

function ask(worker: Worker, task: FileTask): Promise<ResultOf<FileTask>> {
  worker.ref();
  const { promise, resolve, reject } = Promise.withResolvers<ResultOf<FileTask>>();
  const onMessage = (answer: WorkerAnswer) => {
    if (answer.kind === "done") resolve(answer.result);
    else reject(new EngineError(answer.error.kind, answer.error.message, { hint: answer.error.hint }));
  };
  let cause: unknown;
  const onError = (error: unknown) => {
    cause = error;
  };
  const onExit = () => reject(new EngineError("internal", "the worker for files stopped", { cause }));
  worker.on("message", onMessage).on("error", onError).on("exit", onExit);
  worker.postMessage(task);
  return promise.finally(() => {
    worker.off("message", onMessage).off("error", onError).off("exit", onExit);
    worker.unref();
  });
}
