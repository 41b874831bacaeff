/** So many packets a second, and as many at once: a container that floods its name server slows down nobody else. */
const PER_SECOND = 10_000;

export class RateLimit {
  readonly #now: () => number;
  #left = PER_SECOND;
  #at: number;

  /** `now` in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#at = now();
  }

  /** Whether one more may pass. */
  take(): boolean {
    const now = this.#now();
    this.#left = Math.min(PER_SECOND, this.#left + ((now - this.#at) / 1000) * PER_SECOND);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
