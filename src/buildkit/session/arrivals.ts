/** Milliseconds that something which is on its way is waited for. */
const PATIENCE = 10_000;

/** Things by their ids; who asks for one that is not there yet waits a while. */
export class Arrivals<T> {
  readonly #items = new Map<string, T>();
  readonly #waiting = new Map<string, Set<(item: T) => void>>();

  has(id: string): boolean {
    return this.#items.has(id);
  }

  add(id: string, item: T): void {
    this.#items.set(id, item);
    for (const tell of this.#waiting.get(id) ?? []) tell(item);
  }

  remove(id: string, item: T): void {
    if (this.#items.get(id) === item) this.#items.delete(id);
  }

  values(): IterableIterator<T> {
    return this.#items.values();
  }

  async get(id: string, signal: AbortSignal, missing: () => Error): Promise<T> {
    const there = this.#items.get(id);
    if (there !== undefined) return there;
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    const timer = setTimeout(() => reject(missing()), PATIENCE);
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(id);
    }
  }
}
