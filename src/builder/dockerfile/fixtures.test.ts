/**
 * Dockerfiles of the shapes that public projects have (fixtures/NAME.Dockerfile), each with all that becomes of it (fixtures/NAME.txt): stages,
 * steps, mounts, the configuration, the warnings. Both were written and read by people; a difference is a change of meaning.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parsePlatform } from "../../oci/platform.ts";
import { evaluate } from "./evaluate.ts";
import { historyLine } from "./history.ts";
import { checkOptions, checkPlan, formatWarning, selectWarnings } from "./lint.ts";
import { parseDockerfile } from "./parse.ts";
import type { BaseState, Mount, Plan, Source, Stage, StageScope, Step } from "./plan.ts";
import { planBuild } from "./plan-build.ts";
import { beginStage } from "./scope.ts";

const FOLDER = join(import.meta.dirname, "fixtures");
const PLATFORMS = { buildPlatform: parsePlatform("linux/amd64"), targetPlatform: parsePlatform("linux/arm/v7") };

/** What a reader wants to know of it, a line each. */
function describe(text: string): string {
  const plan = planBuild(parseDockerfile(text), PLATFORMS);
  const ends = new Map<number, StageScope>();
  const lines = plan.order.flatMap((index) => {
    const stage = plan.stages[index];
    assert.ok(stage);
    const base: BaseState | undefined = stage.base.kind === "stage" ? ends.get(stage.base.index) : undefined;
    const { described, end } = describeStage(plan, stage, base);
    ends.set(index, end);
    return described;
  });
  const left = plan.stages.filter(({ index }) => !plan.order.includes(index)).map(({ label }) => `left out: ${label}`);
  const end = ends.get(plan.target.index);
  const options = checkOptions(plan.dockerfile);
  const warnings = selectWarnings(checkPlan(plan, { stages: "all" }), { ...options, skip: new Set() }).map(
    formatWarning,
  );
  const config = Object.entries(end?.config ?? {}).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`);
  return [
    ...lines,
    ...left,
    "configuration",
    ...config,
    ...(warnings.length > 0 ? ["warnings"] : []),
    ...warnings.map((each) => `  ${each}`),
    "",
  ].join("\n");
}

function describeStage(
  plan: Plan,
  stage: Stage,
  base: BaseState | undefined,
): { described: string[]; end: StageScope } {
  const { os, architecture, variant = "" } = stage.platform;
  const described = [`${stage.label} from ${from(stage.base)} on ${os}/${architecture}${variant}`];
  let { scope } = beginStage(plan, stage, base);
  for (const instruction of stage.instructions) {
    const { step, scope: next } = evaluate(scope, instruction);
    scope = next;
    described.push(...describeStep(step, scope));
  }
  return { described, end: scope };
}

function describeStep(step: Step, scope: StageScope): string[] {
  const line = `  ${JSON.stringify(historyLine(step, { style: "buildkit", scope }))
    .slice(1, -1)
    .replaceAll('\\"', '"')}`;
  if (step.kind === "RUN") {
    const script = step.script === undefined ? [] : [`    script ${JSON.stringify(step.script.content)}`];
    const network = step.network === "default" ? [] : [`    network ${step.network}`];
    return [line, ...script, ...network, ...step.mounts.map(describeMount)];
  }
  if (step.kind !== "COPY" && step.kind !== "ADD") return [line];
  const inline = step.sources.flatMap((each) =>
    each.kind === "inline" ? [`    ${each.name} ${JSON.stringify(each.content)}`] : [],
  );
  const source = step.from === undefined ? [] : [`    from ${from(step.from)}`];
  const excludes = step.excludes.map((pattern) => `    without ${pattern}`);
  return [line, ...source, ...inline, ...excludes, `    to ${step.destination}${step.link ? ", linked" : ""}`];
}

function describeMount({ type, target = "", ...rest }: Mount): string {
  const { from: source, ...others } = rest as { from?: Source };
  const place = source === undefined ? "" : ` from ${from(source)}`;
  return `    ${type} ${target}${place} ${JSON.stringify(others)}`;
}

function from(source: Source): string {
  if (source.kind === "stage") return `stage ${source.index}`;
  return source.kind === "image" ? source.name : source.kind;
}

const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".Dockerfile"))
  .map((name) => name.replace(/\.Dockerfile$/, ""));

test("there are enough of them", () => assert.ok(names.length >= 10));

for (const name of names)
  test(name, () => {
    const text = readFileSync(join(FOLDER, `${name}.Dockerfile`), "utf8");
    assert.equal(describe(text), readFileSync(join(FOLDER, `${name}.txt`), "utf8"));
  });
