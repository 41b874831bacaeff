/** The lint rules in builds of a real engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { build, makeContext } from "../testing/build-harness.ts";
import { startEngine } from "../testing/engine-harness.ts";
import { formatWarning } from "./dockerfile/lint.ts";

const DOCKERFILE = 'FROM busybox as Base\nENV PATH=$PAHT:/x\nCOPY a b /\nCMD x\nCMD ["y"]\n';
const EXPECTED = [
  "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)",
  "StageNameCasing: Stage name 'Base' should be lowercase (line 1)",
  "UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?) (line 2)",
  "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 4)",
  "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used (line 4)",
];

test("a build tells its warnings, a check asks base images that are here, # check= leaves some out", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, { a: "1", b: "2" });
  const run = await build(engine, DOCKERFILE, { context: { root } });
  assert.deepEqual(run.warnings.map(formatWarning).sort(), EXPECTED.toSorted());
  const dockerfile = { name: "Dockerfile", text: `# check=skip=FromAsCasing,StageNameCasing\n${DOCKERFILE}` };
  const rules = async (text: string) =>
    ((await engine.builder?.check({ dockerfile: { ...dockerfile, text } })) ?? []).map(({ rule }) => rule).sort();
  const others = ["JSONArgsRecommended", "MultipleInstructionsDisallowed"];
  assert.deepEqual(await rules(dockerfile.text), [...others, "UndefinedVar"]);
  // Who knows what its environment has.
  assert.deepEqual(await rules(dockerfile.text.replace("busybox", "absent")), others);
});

test("with # check=error=true a warning ends the build, and nothing is stored", async (t) => {
  const { engine } = await startEngine(t);
  const text = "# check=error=true\nFROM busybox\nCMD x\n";
  await assert.rejects(build(engine, text, { tags: ["refused:1"] }), {
    kind: "invalid",
    message: "lint violation found for rules: JSONArgsRecommended",
    line: 3,
  });
  assert.throws(() => engine.images.get("refused:1"), { kind: "not-found" });
});
