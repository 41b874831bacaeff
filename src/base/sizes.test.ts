import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSize } from "./sizes.ts";

test("amounts of data are read in decimal and binary units", () => {
  const cases: [string, number | undefined][] = [
    ["0", 0],
    ["4096", 4096],
    ["20GB", 20e9],
    ["20g", 20e9],
    ["1.5GiB", 1.5 * 2 ** 30],
    ["512 kB", 512_000],
    ["3TiB", 3 * 2 ** 40],
    ["10b", 10],
    ["10ib", undefined],
    ["GB", undefined],
    ["-1GB", undefined],
    ["1e9", undefined],
    ["", undefined],
    ["9999999P", undefined],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
});
