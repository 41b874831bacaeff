import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "../base/log.ts";
import { LateWrites } from "./late-writes.ts";

test("What the disk refuses is kept, the latest of each key, and written when the disk takes it", () => {
  const written: string[] = [];
  let full = true;
  const writer = (text: string) => () => {
    if (full) throw new Error("full");
    written.push(text);
  };
  const late = new LateWrites<string>(silentLogger);
  late.write("a", writer("a1"));
  late.whenWritten("a", () => written.push("a is there"));
  late.write("b", writer("b1"));
  late.write("a", writer("a2"));
  late.write("c", writer("c1"));
  late.whenWritten("c", () => written.push("c is settled"));
  late.settle("c");
  late.flush();
  assert.deepEqual(written.splice(0), ["c is settled"]);
  full = false;
  late.flush();
  assert.deepEqual(written, ["a2", "a is there", "b1"]);
  late.whenWritten("a", () => written.push("at once"));
  assert.equal(written.at(-1), "at once");
});
