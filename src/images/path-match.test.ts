import assert from "node:assert/strict";
import { test } from "node:test";
import { pathMatch } from "./path-match.ts";

const CASES: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
  ["busy*", "busybox", true],
  ["busy*:*libc", "busybox:uclibc", true],
  ["busybox", "busybox:latest", false],
  ["*", "a/b", false],
  ["*/b", "a/b", true],
  ["a?c", "abc", true],
  ["a?c", "a/c", false],
  ["[a-c]x", "bx", true],
  ["[^a-c]x", "bx", false],
  ["[^a-c]x", "dx", true],
  ["a\\*b", "a*b", true],
  ["a\\*b", "axb", false],
  ["[\\]]", "]", true],
  ["a.b", "axb", false],
  ["(a|b)+", "(a|b)+", true],
  ["", "", true],
];

for (const [pattern, text, matches] of CASES)
  test(`${pattern || "the empty pattern"} ${matches ? "matches" : "does not match"} ${text || "nothing"}`, () => {
    assert.equal(pathMatch(pattern, text), matches);
  });

for (const pattern of ["[", "[a", "[]a]", "a\\", "[-x]", "[a-]"])
  test(`the pattern ${pattern} is malformed`, () => {
    assert.throws(() => pathMatch(pattern, "a"), { kind: "invalid", message: "syntax error in pattern" });
  });
