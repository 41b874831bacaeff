/** `gantry container prune`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { PRUNE_FLAGS, PRUNES, pruneCommand } from "../prune.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [...PRUNE_FLAGS],
  arguments: NO_ARGUMENTS,
  run: (context, flags) => pruneCommand(context, flags, PRUNES.containers, "This will remove all stopped containers."),
};
