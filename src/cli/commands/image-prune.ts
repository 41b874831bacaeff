/** `gantry image prune`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { PRUNE_FLAGS, PRUNES, pruneCommand } from "../prune.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    ...PRUNE_FLAGS,
    {
      name: "all",
      short: "a",
      type: "bool",
      help: "Remove all images that no container uses, not only those without a name",
    },
  ],
  arguments: NO_ARGUMENTS,
  run: (context, flags) =>
    pruneCommand(
      context,
      flags,
      PRUNES.images,
      flags.bool("all")
        ? "This will remove all images without at least one container associated to them."
        : "This will remove all dangling images.",
      flags.bool("all"),
    ),
};
