import assert from "node:assert/strict";
import { test } from "node:test";
import { checkName, inventName } from "./names.ts";
import { ADJECTIVES, SURNAMES } from "./words.ts";

test("a leading slash belongs to no name", () => {
  assert.equal(checkName("/web-1.a_b"), "web-1.a_b");
});

test("names are refused in Docker's words", () => {
  for (const name of ["a", "-web", "we b", "wéb", "", "a/b"])
    assert.throws(() => checkName(name), {
      kind: "invalid",
      message: `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    });
});

test("an invented name is an adjective and a surname, with a number when those are taken", () => {
  assert.match(
    inventName(() => false),
    /^[a-z]+_[a-z]+$/,
  );
  assert.match(
    inventName((name) => !/\d$/.test(name)),
    /^[a-z]+_[a-z]+\d+$/,
  );
});

test("the word lists hold plain words, each once", () => {
  for (const words of [ADJECTIVES, SURNAMES]) {
    assert.equal(new Set(words).size, words.length);
    for (const word of words) assert.match(word, /^[a-z]+$/);
  }
});
