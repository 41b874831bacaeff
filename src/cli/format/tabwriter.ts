/** Cells in columns as Go's text/tabwriter aligns them: at least ten wide, three spaces apart, the last cell as it is. */

const MIN_WIDTH = 10;
const PADDING = 3;

/** Lines end with a newline. A column is as wide as its widest cell in an unbroken block of lines that have it. */
export function alignCells(rows: readonly (readonly string[])[], padding = PADDING, minWidth = MIN_WIDTH): string {
  const lines = rows.map((): string[] => []);
  layOut(rows, lines, { from: 0, to: rows.length, column: 0 }, (width) => Math.max(minWidth, width + padding));
  return lines.map((cells) => `${cells.join("")}\n`).join("");
}

interface Block {
  readonly from: number;
  readonly to: number;
  readonly column: number;
}

function layOut(
  rows: readonly (readonly string[])[],
  lines: string[][],
  { from, to, column }: Block,
  widthOf: (text: number) => number,
): void {
  const isCell = (row: number) => column < (rows[row]?.length ?? 0) - 1;
  for (let start = from; start < to; ) {
    if (!isCell(start)) {
      lines[start]?.push(rows[start]?.[column] ?? "");
      start++;
      continue;
    }
    let end = start;
    let widest = 0;
    for (; end < to && isCell(end); end++) widest = Math.max(widest, textWidth(rows[end]?.[column] ?? ""));
    const width = widthOf(widest);
    for (let row = start; row < end; row++) {
      const cell = rows[row]?.[column] ?? "";
      lines[row]?.push(cell + " ".repeat(width - textWidth(cell)));
    }
    layOut(rows, lines, { from: start, to: end, column: column + 1 }, widthOf);
    start = end;
  }
}

function textWidth(text: string): number {
  let width = 0;
  for (const _ of text) width++;
  return width;
}
