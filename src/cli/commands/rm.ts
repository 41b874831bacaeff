/** `gantry rm`. */
import { errorKind } from "../../base/errors.ts";
import { type Command, ExitError, SOME_ARGUMENTS } from "../command.ts";
import { errorText, forEachName } from "../errors.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [
    { name: "force", short: "f", type: "bool", help: "Kill a running container first" },
    { name: "link", short: "l", type: "bool", help: "Remove the link only" },
    { name: "volumes", short: "v", type: "bool", help: "Remove its anonymous volumes too" },
  ],
  arguments: SOME_ARGUMENTS,
  complete: "containers",
  run: (context, flags) => {
    const [force, link, volumes] = [flags.bool("force"), flags.bool("link"), flags.bool("volumes")];
    const remove = async (name: string) => {
      const bare = name.replace(/^\/+|\/+$/g, "");
      if (bare === "") throw new ExitError(1, "container name cannot be empty");
      try {
        await context.client.containers.remove(bare, { force, link, volumes });
        return name;
      } catch (error) {
        // What is not there needs no force.
        if (!force || errorKind(error) !== "not-found") throw error;
        context.err.write(`${errorText(error)}\n`);
        return undefined;
      }
    };
    return forEachName(context, flags.positional, remove, { parallel: true });
  },
};
