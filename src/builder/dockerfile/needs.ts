/** The order in which stages can be built. */

/** A ring of needs, found at this stage. */
export class NeedCycle extends Error {
  readonly index: number;

  constructor(index: number) {
    super(`stage ${index} needs itself`);
    this.index = index;
  }
}

/** All indexes, each after those it needs. Throws NeedCycle. */
export function needOrder(needs: readonly (readonly number[])[]): number[] {
  const done: number[] = [];
  const state: ("open" | "done" | undefined)[] = [];
  for (const start of needs.keys()) {
    const path = state[start] === undefined ? [{ index: start, next: 0 }] : [];
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      state[top.index] = "open";
      const need = needs[top.index]?.[top.next++];
      if (need === undefined) {
        state[top.index] = "done";
        done.push(top.index);
        path.pop();
      } else if (state[need] === "open") throw new NeedCycle(need);
      else if (state[need] === undefined) path.push({ index: need, next: 0 });
    }
  }
  return done;
}

/** A stage and all that it needs, directly or not. */
export function reachable(needs: readonly (readonly number[])[], target: number): ReadonlySet<number> {
  const wanted = new Set([target]);
  for (const index of wanted) for (const need of needs[index] ?? []) wanted.add(need);
  return wanted;
}
