/**
 * Broken Dockerfiles (negative/NAME.Dockerfile), each with what must be said of it beside it (negative/NAME.txt): the options of the build if
 * there are any, "line:column", the message.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DockerfileError } from "./errors.ts";
import { checkOptions, checkPlan } from "./lint.ts";
import { parseDockerfile } from "./parse.ts";
import type { BuildOptions } from "./plan.ts";
import { planBuild } from "./plan-build.ts";

const FOLDER = join(import.meta.dirname, "negative");
const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".Dockerfile"))
  .map((name) => name.replace(/\.Dockerfile$/, ""));

interface Expected {
  readonly options: BuildOptions;
  readonly place: string;
  readonly message: string;
}

function readExpected(name: string): Expected {
  const text = readFileSync(join(FOLDER, `${name}.txt`), "utf8");
  const [, options = "{}", place = "", message = ""] = /^(?:options: (.*)\n)?(\d+:\d+)\n(.*)\n$/s.exec(text) ?? [];
  return { options: JSON.parse(options), place, message };
}

/** All that is done with a Dockerfile without images. */
function readAll(text: string, options: BuildOptions): void {
  const dockerfile = parseDockerfile(text);
  checkOptions(dockerfile);
  checkPlan(planBuild(dockerfile, options), { stages: "all" });
}

test("there are enough of them, each with what is expected", () => {
  assert.ok(names.length >= 40);
  assert.equal(readdirSync(FOLDER).length, names.length * 2);
});

for (const name of names)
  test(name, () => {
    const text = readFileSync(join(FOLDER, `${name}.Dockerfile`), "utf8");
    const { options, place, message } = readExpected(name);
    assert.throws(
      () => readAll(text, options),
      (error) => {
        assert.ok(error instanceof DockerfileError, String(error));
        assert.equal(error.kind, "invalid");
        assert.deepEqual({ place: `${error.line}:${error.column}`, message: error.message }, { place, message });
        if (text === "") assert.equal(error.excerpt, "");
        else
          assert.match(
            error.excerpt,
            new RegExp(`^Dockerfile:${error.line}\n-{20}\n(?:.* \\|.*\n)*? +${error.line} \\| >>>`),
          );
        return true;
      },
    );
  });
