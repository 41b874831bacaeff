/** The rules that look at the file and the options of the build alone. */

import { quote } from "../../base/go-strings.ts";
import { parsePlatform } from "../../oci/platform.ts";
import { tryParseReference } from "../../oci/reference.ts";
import { type Expansion, ExpansionError, expand } from "./expand.ts";
import type { From, Instruction, ParsedStage, Range, Warning } from "./language.ts";
import type { Plan } from "./plan.ts";
import { readGlobalArgs } from "./predefined.ts";
import { type RuleName, warning } from "./rules.ts";
import { suggest } from "./suggest.ts";

interface Finding {
  readonly message: string;
  readonly range: Range;
}

type Check = (plan: Plan) => readonly Finding[];

/** All findings, in no order. */
export function lintFile(plan: Plan): Warning[] {
  const found = Object.entries(CHECKS).flatMap(([rule, check]) =>
    check(plan).map(({ message, range }) => warning(rule as RuleName, message, range)),
  );
  return [...plan.dockerfile.warnings, ...found];
}

const CHECKS: { readonly [Rule in RuleName]?: Check } = {
  StageNameCasing: eachFrom(({ as, stageName }) =>
    as !== undefined && as.name.text !== stageName ? `Stage name '${as.name.text}' should be lowercase` : undefined,
  ),
  FromAsCasing: eachFrom(({ as, keyword }) =>
    as !== undefined && (caseOf(keyword) ?? caseOf(as.keyword)) !== caseOf(as.keyword)
      ? `'${as.keyword}' and '${keyword}' keywords' casing do not match`
      : undefined,
  ),
  ReservedStageName: eachFrom(({ stageName = "" }) =>
    RESERVED.has(stageName)
      ? `Stage name should not use the same name as reserved stage ${quote(stageName)}`
      : undefined,
  ),
  DuplicateStageName: duplicateNames,
  ConsistentInstructionCasing: inconsistentCasing,
  MaintainerDeprecated: eachInstruction(({ kind }) =>
    kind === "MAINTAINER" ? "Maintainer instruction is deprecated in favor of using label" : undefined,
  ),
  LegacyKeyValueFormat: eachInstruction((instruction) =>
    (instruction.kind === "ENV" || instruction.kind === "LABEL") && instruction.legacy
      ? `"${instruction.kind} key=value" should be used instead of legacy "${instruction.kind} key value" format`
      : undefined,
  ),
  SecretsUsedInArgOrEnv: secretNames,
  MultipleInstructionsDisallowed: repeatedInstructions,
  UndefinedArgInFrom: undefinedArgs,
  InvalidDefaultArgInFrom: invalidDefaults,
  RedundantTargetPlatform: redundantPlatforms,
  FromPlatformFlagConstDisallowed: constantPlatforms,
  InvalidDefinitionDescription: descriptions,
};

const RESERVED = new Set(["scratch", "context"]);

function eachFrom(check: (from: From) => string | undefined): Check {
  return ({ dockerfile }) =>
    dockerfile.stages.flatMap(({ from }) => {
      const message = check(from);
      return message === undefined ? [] : [{ message, range: from.range }];
    });
}

function eachInstruction(check: (instruction: Instruction) => string | undefined): Check {
  return ({ dockerfile }) =>
    dockerfile.stages.flatMap(({ instructions }) =>
      instructions.flatMap((instruction) => {
        const message = check(instruction);
        return message === undefined ? [] : [{ message, range: instruction.range }];
      }),
    );
}

/** Undefined when it has both. */
function caseOf(keyword: string): "lowercase" | "uppercase" | undefined {
  if (keyword === keyword.toUpperCase()) return "uppercase";
  return keyword === keyword.toLowerCase() ? "lowercase" : undefined;
}

function duplicateNames({ dockerfile }: Plan): Finding[] {
  const seen = new Set<string>();
  return dockerfile.stages.flatMap(({ from: { stageName, range } }) => {
    if (stageName === undefined || !seen.has(stageName)) {
      seen.add(stageName ?? "");
      return [];
    }
    return [{ message: `Duplicate stage name ${quote(stageName)}, stage names should be unique`, range }];
  });
}

function inconsistentCasing({ dockerfile }: Plan): Finding[] {
  const all = dockerfile.stages.flatMap(({ from, instructions }): Instruction[] => [from, ...instructions]);
  const count = (wanted: string) => all.filter(({ keyword }) => caseOf(keyword) === wanted).length;
  const majority = count("lowercase") > count("uppercase") ? "lowercase" : "uppercase";
  return all.flatMap(({ keyword, range }) => {
    if (caseOf(keyword) === majority) return [];
    return [{ message: `Command '${keyword}' should match the case of the command majority (${majority})`, range }];
  });
}

const SECRET = /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const NO_SECRET = /(?:_|^)public(?:_|$)/i;

function secretNames({ dockerfile }: Plan): Finding[] {
  return dockerfile.stages.flatMap(({ instructions }) =>
    instructions.flatMap((instruction) => {
      const { kind, range } = instruction;
      const named = kind === "ARG" ? instruction.args : kind === "ENV" ? instruction.pairs : [];
      return named
        .filter(({ name: { text } }) => SECRET.test(text) && !NO_SECRET.test(text))
        .map(({ name: { text } }) => ({
          message: `Do not use ARG or ENV instructions for sensitive data (${kind} ${quote(text)})`,
          range,
        }));
    }),
  );
}

const ONCE = new Set(["CMD", "ENTRYPOINT", "HEALTHCHECK"]);

/** All but the last of a stage. */
function repeatedInstructions({ dockerfile }: Plan): Finding[] {
  return dockerfile.stages.flatMap(({ instructions }) => {
    const last = new Map(instructions.map((instruction) => [instruction.kind, instruction]));
    return instructions
      .filter((instruction) => ONCE.has(instruction.kind) && last.get(instruction.kind) !== instruction)
      .map(({ kind, range }) => ({
        message: `Multiple ${kind} instructions should not be used in the same stage because only the last one will be used`,
        range,
      }));
  });
}

function undefinedArgs({ dockerfile, globalArgs }: Plan): Finding[] {
  const declared = dockerfile.globalArgs.flatMap(({ args }) => args.map(({ name }) => name.text));
  const known = new Set([...globalArgs.keys(), ...declared]);
  const { escape: escapeChar } = dockerfile.directives;
  return dockerfile.stages.flatMap(({ from }) =>
    [from.image, from.platform].flatMap((word) => {
      const { unset } = tryExpand(word?.text ?? "", globalArgs, escapeChar);
      return [...unset]
        .filter((name) => !known.has(name))
        .map((name) => ({
          message: `FROM argument '${name}' is not declared${didYouMean(name, known, "")}`,
          range: from.range,
        }));
    }),
  );
}

/** " (did you mean $PATH?)" */
export function didYouMean(name: string, known: Iterable<string>, sign: "$" | ""): string {
  const found = suggest(name, known);
  return found === undefined ? "" : ` (did you mean ${sign}${found}?)`;
}

const NOTHING: Pick<Expansion, "text" | "used" | "unset"> = { text: "", used: new Set(), unset: new Set() };

/** Empty for what cannot be expanded: whoever plans the build says so. */
function tryExpand(text: string, env: ReadonlyMap<string, string>, escapeChar: string): typeof NOTHING {
  try {
    return expand(text, { env, escapeChar });
  } catch (error) {
    if (error instanceof ExpansionError) return NOTHING;
    throw error;
  }
}

/** The bases as they are without build arguments. */
function invalidDefaults(plan: Plan): Finding[] {
  const { dockerfile, targetPlatform: target, buildPlatform: build } = plan;
  const { escape: escapeChar } = dockerfile.directives;
  const env = readGlobalArgs({
    platforms: { target, build, targetStage: plan.globalArgs.get("TARGETSTAGE") ?? "" },
    buildArgs: new Map(),
    declared: dockerfile.globalArgs,
    expandWord: ({ text }, _, values) => tryExpand(text, values, escapeChar).text,
  });
  return dockerfile.stages.flatMap(({ from: { image, range } }) => {
    if (!image.text.includes("$")) return [];
    const { text } = tryExpand(image.text, env, escapeChar);
    if (plan.stageNames.has(text.toLowerCase()) || tryParseReference(text) !== undefined) return [];
    return [{ message: `Default value for ARG ${image.text} results in empty or invalid base image name`, range }];
  });
}

function redundantPlatforms({ dockerfile, globalArgs }: Plan): Finding[] {
  return dockerfile.stages.flatMap(({ from: { platform, range } }) => {
    if (platform === undefined) return [];
    const { text, used } = tryExpand(platform.text, globalArgs, dockerfile.directives.escape);
    if (used.size !== 1 || !used.has("TARGETPLATFORM") || text !== globalArgs.get("TARGETPLATFORM")) return [];
    const message = `Setting platform to predefined ${platform.text} in FROM is redundant as this is the default behavior`;
    return [{ message, range }];
  });
}

/** A stage that has the platform in its name is meant so. */
function constantPlatforms({ dockerfile, globalArgs }: Plan): Finding[] {
  return dockerfile.stages.flatMap(({ from }: ParsedStage) => {
    const { platform, stageName = "", range } = from;
    if (platform === undefined || platform.text.includes("$")) return [];
    const { text } = tryExpand(platform.text, globalArgs, dockerfile.directives.escape);
    const { os, architecture } = parsePlatform(text);
    if (stageName.includes(os) || stageName.includes(architecture)) return [];
    return [{ message: `FROM --platform flag should not use constant value ${quote(text)}`, range }];
  });
}

function descriptions({ dockerfile }: Plan): Finding[] {
  const args = [...dockerfile.globalArgs, ...dockerfile.stages.flatMap(({ instructions }) => instructions)];
  const named = [
    ...dockerfile.stages.map(({ from }) => ({ instruction: from as Instruction, names: [from.stageName ?? ""] })),
    ...args.map((arg) => ({
      instruction: arg,
      names: arg.kind === "ARG" ? arg.args.map(({ name }) => name.text) : [""],
    })),
  ];
  return named.flatMap(({ instruction: { kind, comments, range }, names }) => {
    const name = names[0] ?? "";
    if (name === "" || comments.length === 0) return [];
    if (comments.some((comment) => names.some((each) => comment.startsWith(`${each} `)))) return [];
    return [{ message: `Comment for ${kind} should follow the format: \`# ${name} <description>\``, range }];
  });
}
