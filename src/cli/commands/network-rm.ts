/** `gantry network rm`. */
import { errorKind } from "../../base/errors.ts";
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { forEachName } from "../errors.ts";

export const command: Command = {
  usage: "NETWORK [NETWORK...]",
  flags: [{ name: "force", short: "f", type: "bool", help: "Don't mind networks that are not there" }],
  arguments: SOME_ARGUMENTS,
  complete: "networks",
  run: (context, flags) =>
    forEachName(context, flags.positional, async (name) => {
      try {
        await context.client.networks.remove(name);
        return name;
      } catch (error) {
        if (!flags.bool("force") || errorKind(error) !== "not-found") throw error;
        return undefined;
      }
    }),
};
