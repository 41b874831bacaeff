/** `gantry builder prune`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { PRUNE_FLAGS, PRUNES, pruneCommand } from "../prune.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    ...PRUNE_FLAGS,
    { name: "all", short: "a", type: "bool", help: "Remove all of it, not only what is dangling" },
  ],
  arguments: NO_ARGUMENTS,
  run: (context, flags) =>
    pruneCommand(context, flags, PRUNES.cache, "This will remove the build cache.", flags.bool("all")),
};
