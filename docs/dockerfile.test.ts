/** The Dockerfiles and the error of docs/dockerfile.md are what the parser says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { DockerfileError } from "../src/builder/dockerfile/errors.ts";
import { checkOptions, checkPlan, selectWarnings, warningsError } from "../src/builder/dockerfile/lint.ts";
import { parseDockerfile } from "../src/builder/dockerfile/parse.ts";
import { planBuild } from "../src/builder/dockerfile/plan-build.ts";

const PAGE = readFileSync(join(import.meta.dirname, "dockerfile.md"), "utf8");
const blocks = (language: string) =>
  [...PAGE.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] ?? "");

test("the Dockerfiles can be planned; the second says what its directive makes of it", () => {
  const [first = "", second = ""] = blocks("dockerfile").map((text) => text);
  const plan = planBuild(parseDockerfile(first));
  assert.deepEqual(plan.order, [0, 1]);
  assert.deepEqual(selectWarnings(checkPlan(plan, { stages: "all" }), checkOptions(plan.dockerfile)), []);
  const checked = planBuild(parseDockerfile(second));
  const options = checkOptions(checked.dockerfile);
  const warnings = selectWarnings(checkPlan(checked, { stages: "all" }), options);
  assert.equal(warningsError(checked.dockerfile, warnings, options), undefined);
});

test("the error looks as the page says", () => {
  const [printed = ""] = blocks("");
  const lines = [...printed.matchAll(/\| (?:>>>| {3}) (.*)$/gm)].map((match) => match[1]);
  assert.throws(
    () => parseDockerfile(lines.join("\n")),
    (error: DockerfileError) => {
      assert.equal(`${error.excerpt}\nERROR: failed to build: ${error.message}\n`, printed);
      return true;
    },
  );
});
