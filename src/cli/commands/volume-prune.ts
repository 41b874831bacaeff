/** `gantry volume prune`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { PRUNE_FLAGS, PRUNES, pruneCommand } from "../prune.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    ...PRUNE_FLAGS,
    { name: "all", short: "a", type: "bool", help: "Remove all unused volumes, not only those without a name" },
  ],
  arguments: NO_ARGUMENTS,
  run: (context, flags) =>
    pruneCommand(
      context,
      flags,
      PRUNES.volumes,
      flags.bool("all")
        ? "This will remove all local volumes not used by at least one container."
        : "This will remove anonymous local volumes not used by at least one container.",
      flags.bool("all"),
    ),
};
