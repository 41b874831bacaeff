import type { InstructionLine } from "./instruction-line.ts";
import type { Body } from "./table.ts";

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

/** `FROM image [AS name]`. */
export function readFrom(line: InstructionLine): Body<"FROM"> {
  const [image, as, name, ...more] = line.spaced();
  const platform = line.flag("platform");
  const named = name !== undefined && as?.text.toLowerCase() === "as";
  if (image === undefined || more.length > 0 || (as !== undefined && !named))
    throw line.failure("FROM requires either one or three arguments");
  if (!named || as === undefined) return { image: line.word(image), platform };
  const stageName = name.text.toLowerCase();
  if (!STAGE_NAME.test(stageName)) {
    const reason = "name can't start with a number or contain symbols";
    throw line.failure(`invalid name for build stage: ${JSON.stringify(name.text)}, ${reason}`, name);
  }
  return { image: line.word(image), stageName, as: { keyword: as.text, name: line.word(name) }, platform };
}
