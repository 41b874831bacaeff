/** `gantry network prune`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { PRUNE_FLAGS, PRUNES, pruneCommand } from "../prune.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [...PRUNE_FLAGS],
  arguments: NO_ARGUMENTS,
  run: (context, flags) =>
    pruneCommand(
      context,
      flags,
      PRUNES.networks,
      "This will remove all custom networks not used by at least one container.",
    ),
};
