import assert from "node:assert/strict";
import { test } from "node:test";
import { alignCells } from "./tabwriter.ts";

test("columns are at least ten wide and three spaces apart; the last cell has no padding", () => {
  assert.equal(
    alignCells([
      ["A", "LONG HEADER", "Z"],
      ["aaaaaaaaaaaa", "b", "c"],
    ]),
    "A              LONG HEADER   Z\naaaaaaaaaaaa   b             c\n",
  );
  assert.equal(
    alignCells([
      ["A", "B"],
      ["a", ""],
    ]),
    "A         B\na         \n",
  );
});

test("characters count, not bytes", () => {
  assert.equal(
    alignCells([
      ["ééééééééé…", "x"],
      ["a", "y"],
    ]),
    "ééééééééé…   x\na            y\n",
  );
});

test("a line without the column ends its block", () => {
  assert.equal(
    alignCells([["aaaaaaaaaaaaaaa", "b"], ["alone"], ["c", "d"]]),
    "aaaaaaaaaaaaaaa   b\nalone\nc         d\n",
  );
});
