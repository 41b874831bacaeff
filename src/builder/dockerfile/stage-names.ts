import type { ParsedStage } from "./language.ts";

/** The indexes of the stages of each name (in lower case), ascending. */
export type StageNames = ReadonlyMap<string, readonly number[]>;

export function collectStageNames(stages: readonly ParsedStage[]): StageNames {
  const names = new Map<string, number[]>();
  for (const { from, index } of stages) {
    if (from.stageName === undefined) continue;
    const indexes = names.get(from.stageName);
    if (indexes === undefined) names.set(from.stageName, [index]);
    else indexes.push(index);
  }
  return names;
}

/** The nearest stage of this name above stage `reader`; undefined when there is none above. */
export function stageAbove(names: StageNames, name: string, reader: number): number | undefined {
  const indexes = names.get(name.toLowerCase()) ?? [];
  let [low, high] = [0, indexes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((indexes[middle] ?? 0) < reader) low = middle + 1;
    else high = middle;
  }
  return indexes[low - 1];
}

/** The same; when there is none above, the last of this name, which is `reader` itself or below it. */
export function stageNamed(names: StageNames, name: string, reader: number): number | undefined {
  return stageAbove(names, name, reader) ?? names.get(name.toLowerCase())?.at(-1);
}
