/** Questions about a Dockerfile, which build nothing: `--check`, `--call=outline`, `--call=targets`. */
import { EngineError } from "../../base/errors.ts";
import type { Builder, BuildRequest } from "../../builder/builder.ts";
import { DockerfileError } from "../../builder/dockerfile/errors.ts";
import type { Range, Warning } from "../../builder/dockerfile/language.ts";
import type { Result } from "../wire/gateway.ts";
import { type Attributes, prefixed } from "./attributes.ts";
import { outline, targets } from "./questions-about-stages.ts";

type Text = BuildRequest["dockerfile"];

/** A document for programs, and the same for people. */
export interface Answer {
  readonly json: object;
  readonly text: string;
  /** What the client's exit code becomes. */
  readonly code?: number | undefined;
}

type Ask = (builder: Builder, attributes: Attributes, file: Text) => Promise<Answer>;

const QUESTIONS: Readonly<
  Record<string, { readonly ask: Ask; readonly version: string; readonly description: string }>
> = {
  "frontend.lint": { ask: lint, version: "1.0.0", description: "Lint a Dockerfile" },
  "frontend.outline": {
    ask: async (_, attributes, file) => outline(attributes, file),
    version: "1.0.0",
    description: "List all parameters current build target supports",
  },
  "frontend.targets": {
    ask: async (_, attributes, file) => targets(attributes, file),
    version: "1.0.0",
    description: "List all targets current build supports",
  },
  "frontend.subrequests.describe": { ask: describe, version: "1.0.0", description: "List available subrequest types" },
};

/** Undefined when the attributes ask for a build. */
export async function answerQuestion(
  builder: Builder,
  attributes: Attributes,
  file: Text,
): Promise<Result | undefined> {
  const { requestid } = attributes;
  if (requestid === undefined || requestid === "") return undefined;
  const question = Object.hasOwn(QUESTIONS, requestid) ? QUESTIONS[requestid] : undefined;
  if (question === undefined)
    throw new EngineError("not-implemented", `unknown subrequest ${requestid}`, {
      hint: `There are ${Object.keys(QUESTIONS).join(", ")}.`,
    });
  const { json, text, code } = await question.ask(builder, attributes, file);
  return {
    metadata: {
      "result.json": Buffer.from(JSON.stringify(json, undefined, 2)),
      "result.txt": Buffer.from(text),
      version: Buffer.from(question.version),
      ...(code !== undefined && { "result.statuscode": Buffer.from(String(code)) }),
    },
  };
}

async function describe(): Promise<Answer> {
  const all = Object.entries(QUESTIONS).map(([Name, { version, description }]) => ({
    Name,
    Version: version,
    Type: "rpc",
    Description: description,
    Opts: null,
    Inputs: null,
    Metadata: [{ Name: "result.json" }, { Name: "result.txt" }],
    Refs: null,
  }));
  const text = all
    .map(({ Name, Version, Description }) => `${Name.padEnd(32)}${Version.padEnd(10)}${Description}\n`)
    .join("");
  return { json: all, text: `NAME${" ".repeat(28)}VERSION${" ".repeat(3)}DESCRIPTION\n${text}` };
}

async function lint(builder: Builder, attributes: Attributes, file: Text): Promise<Answer> {
  const sources = [{ filename: file.name, language: "Dockerfile", data: Buffer.from(file.text).toString("base64") }];
  try {
    const found = await builder.check({
      dockerfile: file,
      target: attributes.target || undefined,
      buildArgs: prefixed(attributes, "build-arg:"),
    });
    const warnings = found.map(({ rule, description, url, message, range }) => ({
      ruleName: rule,
      description,
      url,
      detail: message,
      location: locationOf(range),
    }));
    return {
      json: { warnings, sources },
      text: found.map((warning) => warningText(file, warning)).join("\n"),
      code: found.length > 0 ? 1 : 0,
    };
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    const { message, range } = error;
    return {
      json: { warnings: null, sources, error: { message, location: locationOf(range) } },
      text: message,
      code: 1,
    };
  }
}

const locationOf = ({ start, end }: Range): object => ({
  sourceIndex: 0,
  ranges: [{ start: { line: start.line, character: 0 }, end: { line: end.line, character: 0 } }],
});

function warningText({ name, text }: Text, { rule, url, description, message, range }: Warning): string {
  const lines = text.split("\n").slice(range.start.line - 1, range.end.line);
  const shown = lines.map((line, at) => `${String(range.start.line + at).padStart(4)} | >>> ${line}`);
  const rulers = "-".repeat(20);
  return [
    `WARNING: ${rule} - ${url}`,
    description,
    message,
    "",
    `${name}:${range.start.line}`,
    rulers,
    ...shown,
    rulers,
    "",
  ].join("\n");
}
