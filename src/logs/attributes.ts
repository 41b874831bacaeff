/** What the options labels, env and tag add to the lines of a run. */
import { EngineError, errorMessage } from "../base/errors.ts";
import { compileTemplate } from "../base/template/evaluate.ts";
import { structure } from "../base/template/print.ts";
import type { LogConfig, LogSubject } from "./logs.ts";

/** JSON of more bytes than this would not fit into a line beside the longest text: see chunks.ts. */
const LONGEST = 16 * 1024;

/** Chosen labels and variables. Throws "invalid" for a pattern that is none, or when they are too many. */
export function chosenAttributes({ Config = {} }: LogConfig, subject: LogSubject): Record<string, string> {
  const env = subject.env.map(splitVariable);
  const labels = Object.entries(subject.labels);
  const chosen = [
    ...labels.filter(([name]) => listed(Config.labels).has(name)),
    ...labels.filter(matching("labels-regex", Config)),
    ...env.filter(([name]) => listed(Config.env).has(name)),
    ...env.filter(matching("env-regex", Config)),
  ];
  const attributes = Object.fromEntries(chosen);
  const bytes = Buffer.byteLength(JSON.stringify(attributes));
  if (bytes > LONGEST)
    throw new EngineError("invalid", `the labels and variables that the log is to carry take ${bytes} bytes`, {
      hint: `${LONGEST} are possible; choose fewer by the log options labels and env`,
    });
  return attributes;
}

function splitVariable(entry: string): [string, string] {
  const at = entry.indexOf("=");
  return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
}

const listed = (names: string | undefined) => new Set(names === undefined || names === "" ? [] : names.split(","));

function matching(option: "labels-regex" | "env-regex", config: Readonly<Record<string, string>>) {
  const pattern = config[option];
  if (pattern === undefined || pattern === "") return () => false;
  const expression = expressionOf(option, pattern);
  return ([name]: readonly [string, string]) => expression.test(name);
}

/** Throws "invalid" for what is no regular expression. */
export function expressionOf(option: string, pattern: string): RegExp {
  try {
    return new RegExp(pattern, "u");
  } catch (cause) {
    throw new EngineError("invalid", `invalid log opt ${option}: ${errorMessage(cause)}`, { cause });
  }
}

/** A tag's template filled in; "" for an empty one. Throws "invalid" with Go's message for one that does not work. */
export function tagOf(template: string, subject: LogSubject): string {
  if (template === "") return "";
  try {
    const tag = compileTemplate(template).run(tagData(subject), { missingKey: "error", rootType: "*logger.Info" });
    if (tag.length <= LONGEST) return tag;
  } catch (cause) {
    throw new EngineError("invalid", `invalid log opt tag: ${errorMessage(cause)}`, { cause });
  }
  throw new EngineError("invalid", `invalid log opt tag: it makes more than ${LONGEST} characters`);
}

/** The members that Docker's tag templates have. */
function tagData({ id, name, imageId, imageName, command, env, labels, createdAt }: LogSubject): object {
  const bareImage = imageId.replace(/^sha256:/, "");
  const members = {
    ID: id.slice(0, 12),
    FullID: id,
    Name: name,
    ImageID: bareImage.slice(0, 12),
    ImageFullID: imageId,
    ImageName: imageName,
    Command: command.join(" "),
    DaemonName: "docker",
    ContainerID: id,
    ContainerName: `/${name}`,
    ContainerEntrypoint: command[0] ?? "",
    ContainerArgs: command.slice(1),
    ContainerImageID: imageId,
    ContainerImageName: imageName,
    ContainerCreated: createdAt,
    ContainerEnv: env,
    ContainerLabels: labels,
  };
  return structure(
    members,
    Object.keys(members).map((member) => [member, ""] as const),
  );
}
