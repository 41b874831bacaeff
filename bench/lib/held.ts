/** What a daemon holds over a long run, and whether it grows. */
import { heldHeap, holdings } from "../../e2e/lib/watch.ts";
import type { TestDaemon } from "../../src/testing/daemon.ts";

export interface Held {
  /** KiB in use after a collection of garbage. */
  readonly heap: number;
  /** KiB of the process, proportional. */
  readonly memory: number;
  readonly descriptors: number;
  readonly containers: number;
}

export async function look(daemon: TestDaemon): Promise<Held> {
  const heap = await heldHeap(daemon);
  const { memory, descriptors } = await holdings(daemon);
  const { Containers: containers } = await daemon.call<{ Containers: number }>("GET", "/info");
  return { heap, memory, descriptors, containers };
}

/** Of the straight line that fits best through values at 0, 1, 2 …; the first one, from before everything was warm, left out. */
export function slope([, ...values]: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const above = values.reduce((sum, value, at) => sum + (at - middle) * (value - mean), 0);
  return above / values.reduce((sum, _, at) => sum + (at - middle) ** 2, 0);
}
