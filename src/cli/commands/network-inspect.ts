/** `gantry network inspect`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { INSPECT_FORMAT, inspectObjects } from "../inspect.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  flags: [INSPECT_FORMAT, { name: "verbose", short: "v", type: "bool", help: "Show everything there is" }],
  arguments: SOME_ARGUMENTS,
  complete: "networks",
  run: (context, flags) => inspectObjects(context, flags, { type: "network", verbose: flags.bool("verbose") }),
};
