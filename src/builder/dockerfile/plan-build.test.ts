import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePlatform } from "../../oci/platform.ts";
import type { DockerfileError } from "./errors.ts";
import { parseDockerfile } from "./parse.ts";
import type { BuildOptions, Source } from "./plan.ts";
import { planBuild } from "./plan-build.ts";

const plan = (text: string, options?: BuildOptions) => planBuild(parseDockerfile(text), options);

function describe(source: Source | undefined): string {
  if (source?.kind === "image") return source.name;
  if (source?.kind === "stage") return `stage ${source.index}`;
  return source?.kind === "context" ? `context ${source.name}` : (source?.kind ?? "none");
}

const bases = (text: string, options?: BuildOptions) => plan(text, options).stages.map(({ base }) => describe(base));

function refused(text: string, options: BuildOptions | undefined, [line, column, message]: [number, number, string]) {
  assert.throws(
    () => plan(text, options),
    (error: DockerfileError) => {
      assert.deepEqual([error.kind, error.line, error.column, error.message], ["invalid", line, column, message]);
      return true;
    },
  );
}

test("a base is a stage above, nothing, or an image", () => {
  assert.deepEqual(bases("FROM base\nFROM scratch AS base\nFROM BASE\nFROM x/y:1"), [
    "base",
    "scratch",
    "stage 1",
    "x/y:1",
  ]);
  assert.deepEqual(bases("FROM a AS a\nFROM a AS a\nFROM a"), ["a", "stage 0", "stage 1"]);
});

test("stages that the target does not need are left out; others come after what they need", () => {
  const text =
    "FROM a AS a\nFROM a AS unused\nFROM x AS tool\nFROM a AS b\nCOPY --from=tool /x /x\nFROM b AS c\nRUN --mount=from=2 y\nFROM z";
  assert.deepEqual(plan(text, { target: "C" }).order, [0, 2, 3, 4]);
  assert.deepEqual(plan(text, { target: "1" }).order, [0, 1]);
  assert.deepEqual(plan(text).order, [5]);
  assert.deepEqual(plan(text, { target: "c" }).stages[4]?.needs, [2, 3]);
  assert.deepEqual(
    plan(text).stages.map(({ label }) => label),
    ["a", "unused", "tool", "b", "c", "stage-5"],
  );
});

test("global ARGs: defaults, build arguments, one after the other", () => {
  const text = 'ARG A=1\nARG B="$A-${C:-none}"\nARG D\nFROM x:$B';
  assert.deepEqual(bases(text), ["x:1-none"]);
  assert.deepEqual(bases(text, { buildArgs: { A: "2", C: "no" } }), ["x:2-none"]);
  assert.deepEqual(plan(text, { buildArgs: { C: "", D: "", HTTP_PROXY: "", SOURCE_DATE_EPOCH: "1" } }).unusedArgs, [
    "C",
  ]);
});

test("platforms", () => {
  const text =
    "FROM --platform=$BUILDPLATFORM x AS a\nFROM a\nFROM --platform=linux/arm/v7 y\nFROM z:$TARGETARCH$TARGETVARIANT";
  const options = { buildPlatform: parsePlatform("linux/amd64"), targetPlatform: parsePlatform("linux/arm/v6") };
  const { stages } = plan(text, options);
  assert.deepEqual(
    stages.map(({ platform: { architecture, variant } }) => [architecture, variant]),
    [
      ["amd64", undefined],
      ["amd64", undefined],
      ["arm", "v7"],
      ["arm", "v6"],
    ],
  );
  assert.equal(describe(stages[3]?.base), "z:armv6");
});

test("a named context takes the place of a stage, of an image, of a name in --from", () => {
  const contexts = ["tools", "alpine", "docker.io/library/debian:12", "busybox::linux/arm64"];
  const text = "FROM x AS tools\nRUN y\nFROM alpine:latest\nCOPY --from=tools a b\nFROM debian:12\nFROM busybox";
  const { stages } = plan(text, { contexts, targetPlatform: parsePlatform("linux/arm64") });
  assert.deepEqual(
    stages.map(({ base }) => describe(base)),
    ["context tools", "context alpine", "context docker.io/library/debian:12", "context busybox::linux/arm64"],
  );
  assert.deepEqual(stages[0]?.instructions, []);
});

test("a stage of the same name nearer above goes first", () => {
  const text = "FROM a AS x\nFROM b AS x\nFROM c\nCOPY --from=x 1 2\nFROM d AS x";
  assert.deepEqual(plan(text).stages[2]?.needs, [1]);
});

test("names that mean nothing are refused, with their place", () => {
  refused("FROM $X", undefined, [1, 6, "base name ($X) should not be blank"]);
  refused("FROM a AS build\nFROM b", { target: "biuld" }, [
    2,
    1,
    'target stage "biuld" could not be found (did you mean build?)',
  ]);
  refused("FROM a\nCOPY --from=7 x y", undefined, [2, 13, "invalid stage index 7"]);
  refused("FROM a\nFROM --platform=$TARGETPLATFROM b", undefined, [
    2,
    17,
    "empty platform value from expression $TARGETPLATFROM (did you mean TARGETPLATFORM?)",
  ]);
  refused("FROM a:b:c", undefined, [1, 6, 'failed to parse stage name "a:b:c": invalid reference format']);
  refused("FROM a\nCOPY --from=A/B x y", undefined, [
    2,
    13,
    'failed to parse stage name "A/B": invalid reference format: repository name (B) must be lowercase',
  ]);
});

test("rings of stages are refused, and stages that come too late", () => {
  refused("FROM a AS x\nCOPY --from=x 1 2", undefined, [2, 13, "circular dependency detected on stage: x"]);
  const ring = "FROM a AS x\nCOPY --from=y 1 2\nFROM a AS y\nCOPY --from=x 1 2\nFROM z";
  refused(ring, undefined, [1, 1, "circular dependency detected on stage: x"]);
  const late = "FROM a AS x\nCOPY --from=y 1 2\nFROM a AS y";
  refused(late, { target: "x" }, [2, 1, 'cannot copy from stage "y", it needs to be defined before current stage "x"']);
  assert.deepEqual(plan(late).order, [1]);
});

test("thousands of stages on top of each other are planned without recursion", () => {
  const text = Array.from(
    { length: 9_000 },
    (_, index) => `FROM ${index === 0 ? "a" : `s${index - 1}`} AS s${index}`,
  ).join("\n");
  assert.equal(plan(text).order.length, 9_000);
});
