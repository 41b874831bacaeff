/** The runs whose lines come into one log: while one goes on, there may be more. */
export class Writers {
  #live = 0;
  #wake: () => void = () => {};

  add(ended: Promise<unknown>): void {
    this.#live++;
    const end = () => {
      this.#live--;
      this.#wake();
    };
    ended.then(end, end);
  }

  get over(): boolean {
    return this.#live === 0;
  }

  /** Called when one has ended; the last listener counts. */
  onEnd(wake: () => void): void {
    this.#wake = wake;
  }
}
