import { parseDockerfile } from "./parse.ts";
import { PROXY_ARGS } from "./predefined.ts";

/** Taken by the builder itself. */
const BUILDERS = /^(?:SOURCE_DATE_EPOCH|BUILDKIT_\w+|(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT|STAGE))$/;

/** Names of build arguments that no ARG of a Dockerfile declares, sorted: likely to be misspelt. Throws DockerfileError. */
export function unusedArgs(text: string, names: readonly string[]): readonly string[] {
  const open = names.filter((name) => !PROXY_ARGS.has(name) && !BUILDERS.test(name));
  if (open.length === 0) return [];
  const { globalArgs, stages } = parseDockerfile(text, "Dockerfile");
  const instructions = stages.flatMap((stage) => stage.instructions);
  const declared = new Set(
    [...globalArgs, ...instructions].flatMap((one) =>
      one.kind === "ARG" ? one.args.map(({ name }) => name.text) : [],
    ),
  );
  return open.filter((name) => !declared.has(name)).sort();
}
