/** What could not be written when it happened: it is tried again until the disk takes it. */
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";

const RETRY_MS = 500;

export class LateWrites<Key> {
  readonly #waiting = new Map<Key, { readonly write: () => void; readonly then: (() => void)[] }>();
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Writes now or later; a later write of the same key takes the place of one that waits. Never throws. */
  write(key: Key, write: () => void): void {
    const then = this.#waiting.get(key)?.then ?? [];
    try {
      write();
    } catch (error) {
      if (this.#waiting.size === 0)
        this.#logger.log("error", "the database takes no changes; they are kept and tried again", {
          error: errorMessage(error),
        });
      this.#waiting.set(key, { write, then });
      this.#timer ??= setInterval(() => this.flush(), RETRY_MS).unref();
      return;
    }
    this.#written(key, then);
  }

  /** Calls back once nothing of the key waits: at once, or after the write. */
  whenWritten(key: Key, callback: () => void): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) callback();
    else waiting.then.push(callback);
  }

  /** The key was written past this: what waits is out of date, and those who wait for it are called. */
  settle(key: Key): void {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) this.#written(key, waiting.then);
  }

  /** Tries everything that waits; stops at the first that is refused again. */
  flush(): void {
    for (const [key, { write, then }] of this.#waiting) {
      try {
        write();
      } catch {
        return;
      }
      this.#written(key, then);
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #written(key: Key, then: readonly (() => void)[]): void {
    const waited = this.#waiting.delete(key);
    if (waited && this.#waiting.size === 0) this.#logger.log("info", "the database takes changes again");
    for (const callback of then) callback();
  }
}
