/** `gantry pause`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { forEachName } from "../errors.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  arguments: SOME_ARGUMENTS,
  complete: "running",
  run: (context, flags) =>
    forEachName(
      context,
      flags.positional,
      async (name) => {
        await context.client.containers.pause(name);
        return name;
      },
      { parallel: true },
    ),
};
