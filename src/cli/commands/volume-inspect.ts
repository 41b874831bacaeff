/** `gantry volume inspect`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { INSPECT_FORMAT, inspectObjects } from "../inspect.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: [INSPECT_FORMAT],
  arguments: SOME_ARGUMENTS,
  complete: "volumes",
  run: (context, flags) => inspectObjects(context, flags, { type: "volume" }),
};
