/** `gantry builder prune`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { PRUNE_FLAGS, pruneCache, pruneCommand } from "../prune.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    ...PRUNE_FLAGS,
    { name: "all", short: "a", type: "bool", help: "Remove all of it, not only what is dangling" },
    { name: "keep-storage", type: "bytes", help: "Keep this much, what was used last" },
  ],
  arguments: NO_ARGUMENTS,
  run: (context, flags) =>
    pruneCommand(
      context,
      flags,
      (each, filters, all) => pruneCache(each, filters, all, flags.number("keep-storage")),
      flags.bool("all") ? "This will remove all build cache." : "This will remove all dangling build cache.",
      flags.bool("all"),
    ),
};
