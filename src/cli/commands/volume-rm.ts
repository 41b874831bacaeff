/** `gantry volume rm`. */
import { errorKind } from "../../base/errors.ts";
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { forEachName } from "../errors.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: [{ name: "force", short: "f", type: "bool", help: "Don't mind volumes that are not there" }],
  arguments: SOME_ARGUMENTS,
  complete: "volumes",
  run: (context, flags) =>
    forEachName(context, flags.positional, async (name) => {
      try {
        await context.client.volumes.remove(name, flags.bool("force"));
      } catch (error) {
        if (!flags.bool("force") || errorKind(error) !== "not-found") throw error;
      }
      return name;
    }),
};
