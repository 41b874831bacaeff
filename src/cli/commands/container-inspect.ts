/** `gantry container inspect`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { INSPECT_FORMAT, inspectObjects } from "../inspect.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [INSPECT_FORMAT, { name: "size", short: "s", type: "bool", help: "Show sizes on disk of containers" }],
  arguments: SOME_ARGUMENTS,
  complete: "containers",
  run: (context, flags) => inspectObjects(context, flags, { type: "container", size: flags.bool("size") }),
};
