/** `gantry inspect`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { INSPECT_FORMAT, INSPECTED_TYPES, inspectObjects } from "../inspect.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  flags: [
    INSPECT_FORMAT,
    { name: "size", short: "s", type: "bool", help: "Show sizes on disk of containers" },
    { name: "type", type: "string", help: "Only objects of this type", complete: INSPECTED_TYPES },
  ],
  arguments: SOME_ARGUMENTS,
  complete: "containers",
  run: (context, flags) => inspectObjects(context, flags, { type: flags.text("type"), size: flags.bool("size") }),
};
