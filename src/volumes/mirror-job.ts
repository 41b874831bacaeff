/** A mirror whose passes run in a worker: volumes may be large, and the engine goes on meanwhile. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { EngineError, type ErrorKind } from "../base/errors.ts";

interface Answer {
  readonly error?: string;
  readonly kind?: ErrorKind;
}

export class MirrorJob implements AsyncDisposable {
  readonly #worker: Worker;

  constructor(source: string, target: string) {
    const url = new URL("./mirror-worker.ts", import.meta.url);
    this.#worker = new Worker(url, { execArgv: [], stdin: false, workerData: { source, target } });
    this.#worker.on("error", () => {});
  }

  /** Resolves when `target` equals what `source` was at some moment of the pass, entry by entry. */
  async pass(): Promise<void> {
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const onExit = () => reject(new EngineError("internal", "the copying of a volume was cut short"));
    this.#worker.once("exit", onExit);
    try {
      this.#worker.postMessage("pass");
      const [answer] = (await Promise.race([once(this.#worker, "message"), ended])) as [Answer];
      if (answer.error !== undefined) throw new EngineError(answer.kind ?? "internal", answer.error);
    } finally {
      this.#worker.off("exit", onExit);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
