import { EngineError } from "./errors.ts";

/** At most so many tasks at once; the others wait in the order in which they came. The limit may change at any time. */
export class Slots {
  readonly #limit: () => number;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  /** A limit below one counts as one. */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /** Rejects with "cancelled" when the signal aborts while it waits. */
  async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#take(signal);
    try {
      return await task();
    } finally {
      this.#taken--;
      this.#wake();
    }
  }

  #take(signal: AbortSignal | undefined): Promise<void> {
    if (this.#taken < Math.max(1, this.#limit()) && this.#waiting.size === 0) {
      this.#taken++;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.delete(enter);
        reject(new EngineError("cancelled", "request cancelled"));
      };
      if (signal?.aborted === true) return leave();
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.add(enter);
    });
  }

  #wake(): void {
    for (const enter of this.#waiting) {
      if (this.#taken >= Math.max(1, this.#limit())) return;
      this.#waiting.delete(enter);
      this.#taken++;
      enter();
    }
  }
}
