import assert from "node:assert/strict";
import { test } from "node:test";
import type { ImageRunConfig } from "../../oci/types.ts";
import { PatternList } from "./ignore.ts";
import { checkOptions, checkPlan, formatWarning, selectWarnings, warningsError } from "./lint.ts";
import { parseDockerfile } from "./parse.ts";
import type { BuildOptions } from "./plan.ts";
import { planBuild } from "./plan-build.ts";
import { RULES, ruleUrl } from "./rules.ts";

interface Setup extends BuildOptions {
  readonly ignore?: readonly string[];
  readonly base?: ImageRunConfig | undefined;
}

/** The warnings as people see them. */
function lint(text: string, { ignore, base, ...options }: Setup = {}): string[] {
  const plan = planBuild(parseDockerfile(text), options);
  const warnings = checkPlan(plan, {
    stages: "all",
    ignore: ignore && new PatternList(ignore),
    baseOf: () => base && { config: base },
  });
  return selectWarnings(warnings, checkOptions(plan.dockerfile)).map(formatWarning);
}

const KNOWN: Setup = { base: { Env: ["PATH=/bin", "NODE_VERSION=20"] } };

/** name, Dockerfile, warnings, setup */
const CASES: readonly (readonly [string, string, readonly string[], Setup?])[] = [
  [
    "stage names in capitals",
    "FROM a AS Base\nFROM a AS base2",
    ["StageNameCasing: Stage name 'Base' should be lowercase (line 1)"],
  ],
  [
    "AS in another case than FROM",
    "FROM a as b\nFROM a AS c",
    ["FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"],
  ],
  ["from and as in the same case", "from a as b", []],
  [
    "blank lines in a continuation",
    "FROM a\nRUN x \\\n\n y",
    ["NoEmptyContinuation: Empty continuation line (line 2)"],
  ],
  [
    "keywords in another case than most",
    "FROM a\nRun x\ncopy a b\nUSER c",
    [
      "ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (uppercase) (line 2)",
      "ConsistentInstructionCasing: Command 'copy' should match the case of the command majority (uppercase) (line 3)",
    ],
  ],
  [
    "two stages of a name",
    "FROM a AS x\nFROM b AS x",
    ['DuplicateStageName: Duplicate stage name "x", stage names should be unique (line 2)'],
  ],
  [
    "reserved names",
    "FROM a AS scratch\nFROM a AS context",
    [
      'ReservedStageName: Stage name should not use the same name as reserved stage "scratch" (line 1)',
      'ReservedStageName: Stage name should not use the same name as reserved stage "context" (line 2)',
    ],
  ],
  [
    "shell form of CMD",
    "FROM a\nCMD x",
    [
      "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 2)",
    ],
  ],
  ["shell form after SHELL", 'FROM a\nSHELL ["/bin/bash", "-c"]\nENTRYPOINT x', []],
  [
    "MAINTAINER",
    "FROM a\nMAINTAINER b",
    ["MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)"],
  ],
  [
    "an undeclared argument in FROM",
    "ARG VERSON=1\nARG UNSET\nFROM a:x$VERSION$UNSET",
    ["UndefinedArgInFrom: FROM argument 'VERSION' is not declared (did you mean VERSON?) (line 3)"],
  ],
  ["an undeclared argument with a default", "FROM a:${VERSION:-1}", []],
  [
    "a relative WORKDIR first",
    "FROM a AS b\nWORKDIR x\nWORKDIR y\nFROM b\nWORKDIR z\nFROM c\nWORKDIR /\nWORKDIR d",
    ['WorkdirRelativePath: Relative workdir "x" can have unexpected results if the base image changes (line 2)'],
  ],
  [
    "an undefined variable",
    "FROM a\nARG D\nENV PATH=$PAHT:$NODE_VERSION:$D\nUSER ${WHO:-me}\nLABEL a=$nothing",
    [
      "UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?) (line 3)",
      "UndefinedVar: Usage of undefined variable '$nothing' (line 5)",
    ],
    KNOWN,
  ],
  ["a variable that the unknown base may have", "FROM a\nUSER $NODE_VERSION", []],
  [
    "a variable that nothing can have",
    "FROM scratch\nUSER $X",
    ["UndefinedVar: Usage of undefined variable '$X' (line 2)"],
  ],
  [
    "CMD twice",
    'FROM a\nCMD ["a"]\nCMD ["b"]\nHEALTHCHECK CMD x\nFROM b\nCMD ["c"]',
    [
      "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used (line 2)",
    ],
  ],
  [
    "the old form of ENV",
    "FROM a\nENV a b\nLABEL c=d",
    ['LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format (line 2)'],
  ],
  [
    "the target platform said again",
    "FROM --platform=$TARGETPLATFORM a\nFROM --platform=$BUILDPLATFORM b",
    [
      "RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior (line 1)",
    ],
  ],
  [
    "secrets in names",
    "FROM a\nARG GITHUB_TOKEN KEYBOARD\nENV api_key=1 PUBLIC_KEY=2 AUTH=3",
    [
      'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "GITHUB_TOKEN") (line 2)',
      'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "api_key") (line 3)',
      'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "AUTH") (line 3)',
    ],
  ],
  [
    "a base that needs a build argument",
    "ARG TAG\nARG V\nFROM a:$TAG\nFROM b:1$V",
    ["InvalidDefaultArgInFrom: Default value for ARG a:$TAG results in empty or invalid base image name (line 3)"],
    { buildArgs: { TAG: "1" } },
  ],
  [
    "a constant platform",
    "FROM --platform=linux/amd64 a AS b\nFROM --platform=linux/amd64 a AS b-amd64",
    ['FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64" (line 1)'],
  ],
  [
    "files that the context does not have",
    "FROM a AS s\nCOPY ./tmp/x y /z/\nADD tmp/*.c /\nCOPY . .\nCOPY --from=a tmp/x .",
    [
      'CopyIgnoredFile: Attempting to Copy file "./tmp/x" that is excluded by .dockerignore (line 2)',
      'CopyIgnoredFile: Attempting to Add file "tmp/*.c" that is excluded by .dockerignore (line 3)',
    ],
    { ignore: ["tmp/*", "!tmp/keep"] },
  ],
  [
    "protocols in capitals",
    "FROM a\nEXPOSE 80/TcP 81/udp",
    ["ExposeProtoCasing: Defined protocol '80/TcP' in EXPOSE instruction should be lowercase (line 2)"],
  ],
  [
    "host ports in EXPOSE",
    "FROM a\nEXPOSE 127.0.0.1:80:80",
    [
      "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80' (line 2)",
    ],
  ],
  ["comments that describe nothing, not asked for", "# a comment\nARG V=1\nFROM a:$V", []],
  [
    "comments that describe nothing, asked for",
    "# check=experimental=all\n# V is it\nARG V=1\n# another\nFROM a:$V AS b\n# c\nFROM d",
    ["InvalidDefinitionDescription: Comment for FROM should follow the format: `# b <description>` (line 5)"],
  ],
];

for (const [name, text, warnings, setup] of CASES) test(name, () => assert.deepEqual(lint(text, setup), warnings));

test("every rule of the table is found by a case", () => {
  const found = new Set(CASES.flatMap(([, , warnings]) => warnings.map((text) => text.split(":")[0])));
  assert.deepEqual(
    Object.keys(RULES).filter((rule) => !found.has(rule)),
    [],
  );
});

test("rules have their pages", () => {
  assert.equal(ruleUrl("JSONArgsRecommended"), "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
  assert.equal(ruleUrl("FromAsCasing"), "https://docs.docker.com/go/dockerfile/rule/from-as-casing/");
  assert.equal(
    ruleUrl("SecretsUsedInArgOrEnv"),
    "https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/",
  );
});

test("# check= leaves rules out", () => {
  const text = "FROM a as B\nCMD x";
  assert.equal(lint(text).length, 3);
  assert.deepEqual(lint(`# check=skip=all\n${text}`), []);
  assert.deepEqual(lint(`# check=skip=JSONArgsRecommended, StageNameCasing;error=true\n${text}`).length, 1);
});

test("# check=error=true makes warnings an error", () => {
  const dockerfile = parseDockerfile("# check=error=true\nFROM a as B");
  const options = checkOptions(dockerfile);
  const warnings = selectWarnings(checkPlan(planBuild(dockerfile), { stages: "all" }), options);
  const error = warningsError(dockerfile, warnings, options);
  assert.equal(error?.message, "lint violation found for rules: FromAsCasing, StageNameCasing");
  assert.equal(error?.line, 2);
  assert.equal(warningsError(dockerfile, [], options), undefined);
});

test("what # check= cannot mean is refused at its line", () => {
  const check = (value: string) => () => checkOptions(parseDockerfile(`# syntax=x\n# check=${value}\nFROM a`));
  assert.throws(check("what"), { message: 'failed to parse check options: invalid check option "what"', line: 2 });
  assert.throws(check("error=maybe"), {
    message: 'failed to parse check options: failed to parse check option "error=maybe"',
  });
});
