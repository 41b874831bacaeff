import assert from "node:assert/strict";
import { test } from "node:test";
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts";

test("keys are letters and ctrl- combinations", () => {
  assert.deepEqual(parseDetachKeys(undefined), [16, 17]);
  assert.deepEqual(parseDetachKeys(""), []);
  assert.deepEqual(parseDetachKeys("ctrl-x,a,ctrl-@,ctrl-["), [24, 97, 0, 27]);
});

test("other keys are refused in Docker's words", () => {
  for (const keys of ["ctrl-A", "ctrl-", "ab", "a,,b"])
    assert.throws(() => parseDetachKeys(keys), {
      kind: "invalid",
      message: new RegExp(`^Invalid detach keys \\(${keys}\\) provided`),
    });
});

function feed(keys: readonly number[], ...chunks: string[]): { passed: string; detached: boolean } {
  const scanner = new DetachScanner(keys);
  let passed = "";
  for (const chunk of chunks) {
    const { pass, detach } = scanner.feed(Buffer.from(chunk));
    passed += Buffer.from(pass).toString();
    if (detach) return { passed, detached: true };
  }
  return { passed, detached: false };
}

test("the keys are found across chunks and not passed on", () => {
  assert.deepEqual(feed([16, 17], "ab\x10", "\x11cd"), { passed: "ab", detached: true });
});

test("a beginning that goes on differently is passed on whole", () => {
  assert.deepEqual(feed([16, 17], "a\x10", "b"), { passed: "a\x10b", detached: false });
  assert.deepEqual(feed([16, 17], "\x10\x10\x11"), { passed: "\x10", detached: true });
});

test("without keys everything passes", () => {
  assert.deepEqual(feed([], "\x10\x11"), { passed: "\x10\x11", detached: false });
});
