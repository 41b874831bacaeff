/** What a Dockerfile offers to whoever builds it: its stages, its arguments, the secrets and agents that it mounts. */
import type { BuildRequest } from "../../builder/builder.ts";
import type { Arg, Dockerfile, ParsedStage, Range } from "../../builder/dockerfile/language.ts";
import { parseDockerfile } from "../../builder/dockerfile/parse.ts";
import { planBuild } from "../../builder/dockerfile/plan-build.ts";
import { type Attributes, prefixed } from "./attributes.ts";
import type { Answer } from "./questions.ts";

type Text = BuildRequest["dockerfile"];

const sourcesOf = ({ name, text }: Text): readonly string[] => [Buffer.from(`${name}\n${text}`).toString("base64")];

const placeOf = ({ start, end }: Range): object => ({
  sourceIndex: 0,
  ranges: [{ start: { line: start.line, character: 0 }, end: { line: end.line, character: 0 } }],
});

/** "name is what it is for" in the comment above, as BuildKit reads it. */
function describedBy(comments: readonly string[], name: string): string {
  const prefix = `${name} `;
  const found = comments.find((line) => line.startsWith(prefix));
  return found === undefined ? "" : found.slice(prefix.length);
}

export function targets(_: Attributes, file: Text): Answer {
  const { stages } = parseDockerfile(file.text, file.name);
  const list = stages.map(({ from, index }) => ({
    ...(from.as !== undefined && { name: from.as.name.text }),
    ...(index === stages.length - 1 && { default: true }),
    description: from.as === undefined ? "" : describedBy(from.comments, from.as.name.text),
    base: from.image.text,
    location: placeOf(from.range),
  }));
  const rows = list.map(
    ({ name = "", default: last = false, description }) => [`${name}${last ? " (default)" : ""}`, description] as const,
  );
  return { json: { targets: list, sources: sourcesOf(file) }, text: table(["TARGET", "DESCRIPTION"], rows) };
}

export function outline(attributes: Attributes, file: Text): Answer {
  const parsed = parseDockerfile(file.text, file.name);
  const plan = planBuild(parsed, {
    target: attributes.target || undefined,
    buildArgs: prefixed(attributes, "build-arg:"),
  });
  const stages = plan.order.flatMap((index) => parsed.stages[index] ?? []);
  const args = argsOf(parsed, stages, prefixed(attributes, "build-arg:"));
  const { name } = plan.target;
  const json = {
    ...(name !== undefined && { name }),
    args,
    secrets: mountsOf(stages, "secret"),
    ssh: mountsOf(stages, "ssh"),
    sources: sourcesOf(file),
  };
  const shown = args.map(
    ({ name, value = "", description }) => [name, value === "" ? description : `${value}  ${description}`] as const,
  );
  return { json, text: `${name === undefined ? "" : `TARGET: ${name}\n\n`}${table(["BUILD ARG", "VALUE"], shown)}` };
}

function argsOf({ globalArgs }: Dockerfile, stages: readonly ParsedStage[], given: Attributes) {
  const inStages = stages.flatMap(({ instructions }) => instructions.filter((one): one is Arg => one.kind === "ARG"));
  const found = [...globalArgs, ...inStages].flatMap(({ args, comments, range }) =>
    args.map(({ name, value }) => ({
      name: name.text,
      description: describedBy(comments, name.text),
      value: given[name.text] ?? value?.text,
      location: placeOf(range),
    })),
  );
  return [...new Map(found.toReversed().map((one) => [one.name, one])).values()].reverse();
}

function mountsOf(stages: readonly ParsedStage[], type: string): object[] {
  const mounts = stages.flatMap(({ instructions }) =>
    instructions.flatMap((one) =>
      one.kind === "RUN" ? one.mounts.map(({ options }) => ({ options, range: one.range })) : [],
    ),
  );
  const found = mounts.flatMap(({ options, range }) => {
    const value = (...names: string[]) => options.find(({ name }) => names.includes(name))?.value;
    if (value("type") !== type) return [];
    const name = value("id") ?? (type === "ssh" ? "default" : (value("target", "dst") ?? "").split("/").at(-1));
    const required = options.find((option) => option.name === "required");
    return [{ name, required: required !== undefined && required.value !== "false", location: placeOf(range) }];
  });
  return [...new Map(found.map((one) => [one.name, one])).values()];
}

function table(head: readonly [string, string], rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...[head, ...rows].map(([first]) => first.length)) + 4;
  return `${[head, ...rows].map(([first, second]) => `${first.padEnd(width)}${second}`.trimEnd()).join("\n")}\n`;
}
