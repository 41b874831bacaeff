/** Expansion against bash, for what both mean the same by. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { expand } from "./expand.ts";

const ENV: Readonly<Record<string, string>> = {
  A: "foobarbaz",
  B: "",
  C: "a b  c",
  D: "aaaa",
  E: "/usr/local/bin:/usr/bin",
  F: "x*y?z\\w",
  G: "é☺a",
};

const name = fc.constantFrom(...Object.keys(ENV), "UNSET");
const literal = fc.constantFrom("a", "b", "ba", "x", "/", ".", "-", ":", "é", "1", "_");
const escaped = fc.constantFrom("\\a", "\\$", "\\\\", "\\'", '\\"', "\\ ", "\\}");
const unit = fc.constantFrom("a", "b", "o", "r", "/", ".", "é", "*", "?", "\\*", "\\?", "\\\\");
/** Not at the beginning: "#" and "%" there are part of the operator, "/" ends an empty pattern. */
const pattern = fc
  .tuple(fc.constantFrom("a", "b", "f", "*", "?", "é"), fc.array(unit, { maxLength: 4 }))
  .map(([first, rest]) => first + rest.join(""));
/** With a star before it, bash takes an escaped star at the end of a pattern for an open one. */
const slashless = pattern.filter((text) => !text.endsWith("\\*")).map((text) => text.replaceAll("/", "\\/"));
const plain = fc.array(fc.constantFrom("a", "b", "x", ".", "-", "é"), { maxLength: 3 }).map((parts) => parts.join(""));

const { substitution } = fc.letrec<{ substitution: string; word: string }>((tie) => ({
  substitution: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    name.map((text) => `\${${text}}`),
    fc
      .tuple(name, fc.constantFrom(":-", "-", ":+", "+"), tie("word"))
      .map(([text, operator, word]) => `\${${text}${operator}${word}}`),
    fc
      .tuple(name, fc.constantFrom("#", "##", "%", "%%"), pattern)
      .map(([text, operator, glob]) => `\${${text}${operator}${glob}}`),
    fc
      .tuple(name, fc.constantFrom("/", "//"), slashless, plain)
      .map(([text, operator, glob, to]) => `\${${text}${operator}${glob}/${to}}`),
  ),
  word: fc.array(fc.oneof(literal, tie("substitution")), { maxLength: 3 }).map((parts) => parts.join("")),
}));
const quoted = fc.oneof(
  fc.constantFrom("''", "'a b'", "'$A'", "'\\'", "'\"'"),
  fc
    .array(fc.oneof(literal, substitution, fc.constantFrom(" ", "'", "\\a", '\\"', "\\$", "\\\\", "$A ")))
    .map((parts) => `"${parts.join("")}"`),
);
const source = fc
  .array(
    fc.oneof(
      literal,
      escaped,
      substitution,
      substitution,
      quoted,
      name.map((text) => `$${text}.`),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => parts.join(""));

/** What bash makes of each, in one go. */
function askBash(sources: readonly string[]): string[] {
  const script = sources.map((text) => `x=${text}\nprintf '%s\\0' "$x"\n`).join("");
  const env = { ...ENV, LC_ALL: "C.UTF-8", PATH: "/usr/bin:/bin" };
  const out = execFileSync("bash", ["--norc", "-f"], {
    input: script,
    env,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return out.split("\0").slice(0, -1);
}

test("words mean what bash means by them", { timeout: 120_000 }, () => {
  const env = new Map(Object.entries(ENV));
  const sources = fc.sample(source, 4000);
  const expected = askBash(sources);
  assert.equal(expected.length, sources.length);
  for (const [index, text] of sources.entries())
    assert.equal(expand(text, { env }).text, expected[index], `bash takes ${text} for ${expected[index]}`);
});
