/** `gantry stop`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { forEachName } from "../errors.ts";
import { STOP_FLAGS, stopOptions } from "../stop-flags.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: STOP_FLAGS,
  arguments: SOME_ARGUMENTS,
  complete: "running",
  run: (context, flags) =>
    forEachName(
      context,
      flags.positional,
      async (name) => {
        await context.client.containers.stop(name, stopOptions(flags));
        return name;
      },
      { parallel: true },
    ),
};
