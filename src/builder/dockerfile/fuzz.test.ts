/** Whatever the text: a value or a DockerfileError, soon. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DockerfileError } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { ExpansionError, expand } from "./expand.ts";
import { historyLine } from "./history.ts";
import { PatternList, parseIgnoreFile } from "./ignore.ts";
import { checkOptions, checkPlan, selectWarnings } from "./lint.ts";
import { parseDockerfile } from "./parse.ts";
import { planBuild } from "./plan-build.ts";
import { beginStage } from "./scope.ts";
import { INSTRUCTION_NAMES } from "./table.ts";

/** Everything that can be done with it. */
function digest(text: string, onBuild: readonly string[] = []): void {
  try {
    const dockerfile = parseDockerfile(text);
    const plan = planBuild(dockerfile, { buildArgs: { A: "1", HTTP_PROXY: "x" } });
    selectWarnings(checkPlan(plan, { stages: "all" }), checkOptions(dockerfile));
    let { scope, triggers } = beginStage(plan, plan.target, { config: { Env: ["B=b c"], OnBuild: onBuild } });
    for (const instruction of [...triggers, ...plan.target.instructions]) {
      const evaluation = evaluate(scope, instruction);
      scope = evaluation.scope;
      for (const style of ["classic", "buildkit"] as const) historyLine(evaluation.step, { style, scope });
    }
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    assert.ok(error.line >= 1 && error.column >= 1);
    assert.ok(error.line <= text.split("\n").length, `${error.message} is at line ${error.line}`);
    assert.ok(error.excerpt.length < 20_000);
  }
}

const SNIPPETS = [
  ..."$ ${ } :- :+ # ## % %% / // ' \" \\ ` \n \r\n \t [ ] , = -- <<EOF <<-'X' EOF X # : * ? ! ^ { ( & ; |".split(" "),
  " ",
  " ",
  "\n",
  "\\\n",
  "\ufeff",
  "\0",
  "\u2028",
  "\ud800",
  "é☺",
  ..."A B=1 $A ${A} ${A:-x} ${A#*} --mount=type=cache,target=/c --from=0 --chmod=u+x --platform=linux/arm64 0 80/udp".split(
    " ",
  ),
  "# escape=`\n",
  "# check=skip=all\n",
  '["a", "b"]',
  "https://x/y.git#a:b",
  "FROM a\n",
  " AS b",
];
const keyword = fc.constantFrom(...INSTRUCTION_NAMES, "from", "Run", "NOPE");
const snippet = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...SNIPPETS) },
  { weight: 3, arbitrary: keyword },
  fc.string({ maxLength: 5 }),
);
const soup = fc.array(snippet, { maxLength: 40 }).map((parts) => parts.join(""));
const line = fc
  .tuple(keyword, fc.array(snippet, { maxLength: 8 }))
  .map(([name, parts]) => `${name} ${parts.join("")}\n`);
const file = fc.array(line, { maxLength: 10 }).map((lines) => `FROM a AS x\n${lines.join("")}`);

test("any text is read, planned, evaluated and linted, or refused with its place", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), soup, file), (text) => digest(text)),
    { numRuns: 6000 },
  );
});

test("any instruction may be a trigger of a base image, or is refused", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(line, soup), { maxLength: 3 }), (triggers) => digest("FROM a\nRUN x", triggers)),
    { numRuns: 2000 },
  );
});

test("any word is expanded or refused", () => {
  const env = new Map([
    ["A", "abc/def*"],
    ["B", ""],
  ]);
  fc.assert(
    fc.property(soup, fc.boolean(), fc.boolean(), (source, raw, ignoreQuotes) => {
      try {
        const { text, words } = expand(source, { env, raw, ignoreQuotes });
        if (!ignoreQuotes) assert.ok(words.join("").length <= text.length);
      } catch (error) {
        assert.ok(error instanceof ExpansionError, String(error));
      }
    }),
    { numRuns: 6000 },
  );
});

test("any ignore file is read or refused, and matches or not", () => {
  const globs = fc.array(
    fc.constantFrom("a", "*", "**", "?", "[", "]", "-", "^", "!", "/", "\\", "#", ".", "\n", "é"),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(globs, fc.string({ maxLength: 10 }), (parts, path) => {
      try {
        new PatternList(parseIgnoreFile(parts.join(""))).matches(path);
      } catch (error) {
        assert.equal((error as { kind?: string }).kind, "invalid");
      }
    }),
    { numRuns: 4000 },
  );
});

const MEBIBYTE = 1024 * 1024;
const fill = (text: string, length = MEBIBYTE - 1000) => text.repeat(Math.floor(length / text.length));

/** Shapes that a careless reader takes for ever with, or that end its stack. */
const HOSTILE: Readonly<Record<string, string>> = {
  "ten million lines": "RUN x\n".repeat(10_000_000),
  "a million blank lines": `FROM a\n${fill("\n")}`,
  "half a million comments": `FROM a\n${fill("#\n")}`,
  "half a million continuations": `FROM a\nRUN x\\\n${fill("b\\\n")}`,
  "a million blank continuations": `FROM a\nRUN x\\\n${fill("\n")}`,
  "a line of a megabyte": `FROM a\nRUN ${fill("x")}`,
  "too many instructions": `FROM a\n${fill("USER b\n")}`,
  "as many stages as can be": Array.from(
    { length: 9999 },
    (_, index) => `FROM ${index === 0 ? "a" : `s${index - 1}`} AS s${index}`,
  ).join("\n"),
  "stages that all read each other": `${"FROM a AS s\nCOPY --from=s x y\n".repeat(4000)}FROM a\n`,
  "too many variables at once": `FROM a\nENV ${fill("a=b \\\n")}`,
  "too many variables by and by": `FROM a\n${Array.from({ length: 3 }, (_, line) => `ENV ${Array.from({ length: 5000 }, (_, index) => `V${line}x${index}=1`).join(" \\\n")}\n`).join("")}`,
  "as many heredocs as can be": `FROM a\nCOPY ${"<<A \\\n".repeat(9000)} x/\n${"A\n".repeat(9000)}`,
  "a heredoc that never ends": `FROM a\nRUN <<A\n${fill("x\n")}`,
  "a heredoc full of variables": `FROM a\nCOPY <<A x\n${fill("$b ${c:-d}\n")}A\n`,
  "half a million quotes": `FROM a\nENV A=${fill("''\\\n")}\n`,
  "open brackets": `FROM a\nCMD ${fill("[\\\n")}`,
  "open braces": `FROM a\nENV A=${fill("${a:-\\\n")}`,
  "open double quotes": `FROM a\nRUN ${fill('"\\\n')}`,
  "many angle brackets": `FROM a\nRUN ${fill("<<\\\n")}`,
  "many flags": `FROM a\nRUN ${fill("--mount=target=x \\\n")}y`,
  "ONBUILD of ONBUILD of ONBUILD": `FROM a\nONBUILD ${fill("ONBUILD \\\n")}`,
  "a value that doubles with each line": `FROM a\nENV A=xxxxxxxx\n${"ENV A=$A$A\n".repeat(100)}`,
  "a global value that doubles": `ARG A=xxxxxxxx\n${"ARG A=$A$A\n".repeat(100)}FROM a:$A`,
  "a pattern made to be slow": `FROM a\nENV A=${"a".repeat(60_000)} P=${"*a".repeat(2000)}b\nUSER \${A//$P/x}\${A//$P/x}\${A//$P/x}`,
  "all ports, again and again": `FROM a\n${"EXPOSE 1-65535 1-65535/udp\n".repeat(5)}`,
  "a directive made to be slow": `#${" ".repeat(60_000)}escape${" ".repeat(60)}=${" ".repeat(60_000)}`,
  "numbers that are too large": "FROM a\nHEALTHCHECK --retries=99999999999999999999 CMD x",
};

for (const [name, text] of Object.entries(HOSTILE))
  test(`${name}: an error or a value, no hang`, { timeout: 60_000 }, () => digest(text));

test("reading takes time in proportion to the length", { timeout: 120_000 }, () => {
  const shapes = [
    (count: number) => `FROM a\nRUN x${" \\\n y".repeat(count)}`,
    (count: number) => `FROM a\nENV A=1${" \\\n B=$A".repeat(count)}`,
  ];
  for (const shape of shapes) {
    const time = (count: number) => {
      const text = shape(count);
      return Math.min(...Array.from({ length: 5 }, () => measure(() => digest(text))));
    };
    time(500);
    const [small, large] = [time(1000), time(8000)];
    assert.ok(large < small * 8 * 6, `${large} ms for eight times what takes ${small} ms`);
  }
});

function measure(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000 + 0.5;
}
