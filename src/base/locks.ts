/**
 * Mutual exclusion by key: tasks of one key run one after another in the order they came, tasks of different keys
 * do not wait for each other. A failed task does not stop the next. Not re-entrant.
 */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<unknown>>();

  async run<T>(key: string, task: () => Promise<T> | T): Promise<T> {
    const before = this.#tails.get(key);
    const mine = before === undefined ? Promise.resolve().then(task) : before.then(task, task);
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }

  /** Whether a task of this key runs or waits. */
  busy(key: string): boolean {
    return this.#tails.has(key);
  }
}
