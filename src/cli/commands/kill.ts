/** `gantry kill`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { forEachName } from "../errors.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [{ name: "signal", short: "s", type: "string", help: "Signal to send" }],
  arguments: SOME_ARGUMENTS,
  complete: "running",
  run: (context, flags) =>
    forEachName(
      context,
      flags.positional,
      async (name) => {
        await context.client.containers.kill(name, flags.text("signal") || undefined);
        return name;
      },
      { parallel: true },
    ),
};
