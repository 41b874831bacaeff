/** Which files of the main context a build reads, as far as its Dockerfile tells: the rest need not be sent. */
import { posix } from "node:path";
import type { BuildRequest } from "../../builder/builder.ts";
import { DockerfileError } from "../../builder/dockerfile/errors.ts";
import type { MountFlag, StageInstruction } from "../../builder/dockerfile/language.ts";
import { parseDockerfile } from "../../builder/dockerfile/parse.ts";
import type { Plan } from "../../builder/dockerfile/plan.ts";
import { planBuild } from "../../builder/dockerfile/plan-build.ts";
import { familiarName } from "../../oci/reference.ts";
import { type Attributes, prefixed } from "./attributes.ts";

export interface NeededWish {
  readonly attributes: Attributes;
  readonly dockerfile: BuildRequest["dockerfile"];
  /** What an image that is here makes of builds upon it; undefined for one that is not here. */
  readonly onBuild: (image: string) => readonly string[] | undefined;
}

/** Paths and patterns; empty: none at all. Undefined: all, or it cannot be told before the build runs. */
export function neededPaths({ attributes, dockerfile, onBuild }: NeededWish): readonly string[] | undefined {
  try {
    const file = parseDockerfile(dockerfile.text, dockerfile.name);
    const contexts = Object.keys(prefixed(attributes, "context:")).map((key) => key.split("::")[0] ?? key);
    const buildArgs = prefixed(attributes, "build-arg:");
    const plan = planBuild(file, { target: attributes.target || undefined, buildArgs, contexts });
    if (attributes["image-resolve-mode"] === "pull" || hasTriggers(plan, onBuild)) return undefined;
    const paths = plan.order.flatMap((index) => plan.stages[index]?.instructions ?? []).map(pathsOf);
    return paths.some((one) => one === undefined) ? undefined : [...new Set(paths.flatMap((one) => one ?? []))];
  } catch (error) {
    // The build itself says what is wrong.
    if (error instanceof DockerfileError) return undefined;
    throw error;
  }
}

/** Whether instructions may come from a base, which nobody has read yet. */
function hasTriggers({ order, stages }: Plan, onBuild: NeededWish["onBuild"]): boolean {
  return order.some((index) => {
    const { base, instructions } = stages[index] as Plan["stages"][number];
    if (instructions.some(({ kind }) => kind === "ONBUILD")) return true;
    if (base.kind === "scratch" || base.kind === "stage") return false;
    return base.kind === "context" || onBuild(familiarName(base.reference))?.length !== 0;
  });
}

/** Of the main context; undefined: all of it. */
function pathsOf(instruction: StageInstruction): readonly string[] | undefined {
  switch (instruction.kind) {
    case "COPY":
      return instruction.from === undefined ? plain(instruction.sources.map(({ text }) => text)) : [];
    case "ADD":
      return plain(
        instruction.sources.map(({ text }) => text).filter((text) => !/^(?:https?|ssh|git):\/\/|^git@/i.test(text)),
      );
    case "RUN":
      return plain(instruction.mounts.filter(bindsContext).map(sourceOf));
    default:
      return [];
  }
}

const option = ({ options }: MountFlag, ...names: readonly string[]): string | undefined =>
  options.find(({ name }) => names.includes(name))?.value;

/** A mount that says no other type binds. */
const bindsContext = (mount: MountFlag): boolean =>
  (option(mount, "type") ?? "bind") === "bind" && option(mount, "from") === undefined;

const sourceOf = (mount: MountFlag): string => option(mount, "source", "src") ?? ".";

/** Undefined when one is the whole context, or is not known as it is written. */
function plain(texts: readonly string[]): readonly string[] | undefined {
  const paths = texts.map((text) => posix.normalize(`/${text}`).replace(/^\/|\/$/g, ""));
  return texts.some((text) => /[$"'\\]/.test(text)) || paths.includes("") ? undefined : paths;
}
