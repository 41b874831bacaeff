/** Figures of one run, as a table: what, measured, its floor or peer, the ratio, and the ratio that we mean to keep. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly floor?: { readonly what: string; readonly value: number } | undefined;
  /** The most that value ÷ floor (or the value itself, without a floor) should be; for "at least" goals give `least`. */
  readonly most?: number | undefined;
  readonly least?: number | undefined;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Milliseconds of each of `times` runs, after `warm` runs that do not count. */
export async function timeEach(
  times: number,
  run: (index: number) => Promise<unknown> | unknown,
  warm = 3,
): Promise<number[]> {
  const taken: number[] = [];
  for (let i = -warm; i < times; i++) {
    const start = performance.now();
    await run(i);
    if (i >= 0) taken.push(performance.now() - start);
  }
  return taken;
}

export function printFigures(figures: readonly Figure[]): void {
  const rows = figures.map(({ what, value, unit, floor, most, least }) => {
    const ratio = floor === undefined ? undefined : value / floor.value;
    const judged = ratio ?? value;
    const goal = most !== undefined ? `≤ ${most}` : least !== undefined ? `≥ ${least}` : "";
    const met = (most === undefined || judged <= most) && (least === undefined || judged >= least);
    return {
      what,
      measured: `${format(value)} ${unit}`,
      against: floor === undefined ? "" : `${floor.what}: ${format(floor.value)} ${unit}`,
      ratio: ratio === undefined ? "" : ratio.toFixed(2),
      goal,
      met: goal === "" ? "" : met ? "yes" : "NO",
    };
  });
  console.table(rows);
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
