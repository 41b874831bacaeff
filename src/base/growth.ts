/** How many bytes of a file are there, told from the thread that writes it to those that read it meanwhile. */
import { EngineError } from "./errors.ts";

/** One number in shared memory: bytes, or -1 when no more will come. */
export type Growth = BigInt64Array<SharedArrayBuffer>;

const FAILED = -1n;
/** A reader looks again after this long at the latest. Milliseconds. */
const PATIENCE = 200;

export function newGrowth(): Growth {
  return new BigInt64Array(new SharedArrayBuffer(8));
}

/** The first `bytes` bytes can be read. */
export function grow(growth: Growth, bytes: number): void {
  Atomics.store(growth, 0, BigInt(bytes));
  Atomics.notify(growth, 0);
}

/** Readers that wait for more get an error. */
export function failGrowth(growth: Growth): void {
  Atomics.store(growth, 0, FAILED);
  Atomics.notify(growth, 0);
}

/**
 * Resolves with the number of bytes when it is at least `least`. "unavailable" when no more will come. `check` is called now and then
 * while it waits, and may throw.
 */
export async function grownTo(growth: Growth, least: number, check: () => void): Promise<number> {
  for (;;) {
    const now = Atomics.load(growth, 0);
    if (now === FAILED) throw new EngineError("unavailable", "the layer did not come whole");
    if (now >= BigInt(least)) return Number(now);
    check();
    const waiting = Atomics.waitAsync(growth, 0, now, PATIENCE);
    if (waiting.async) await waiting.value;
  }
}
