/** `gantry rmi`. */
import { errorKind } from "../../base/errors.ts";
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { errorText, forEachName } from "../errors.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [
    { name: "force", short: "f", type: "bool", help: "Remove it in spite of its names and stopped containers" },
    { name: "no-prune", type: "bool", help: "Keep parents without a name" },
    { name: "platform", type: "strings", help: "Remove only these platforms" },
  ],
  arguments: SOME_ARGUMENTS,
  complete: "images",
  run: (context, flags) => {
    const force = flags.bool("force");
    const options = { force, noPrune: flags.bool("no-prune"), platforms: flags.list("platform") };
    return forEachName(context, flags.positional, async (name) => {
      try {
        const items = await context.client.images.remove(name, options);
        return items
          .map((item) => (item.Deleted ? `Deleted: ${item.Deleted}` : `Untagged: ${item.Untagged}`))
          .join("\n");
      } catch (error) {
        if (!force || errorKind(error) !== "not-found") throw error;
        context.err.write(`${errorText(error)}\n`);
        return undefined;
      }
    });
  },
};
