/** `gantry context rm`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { listContexts, removeContext } from "../contexts.ts";
import { currentContext } from "../endpoint.ts";
import { forEachName } from "../errors.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTEXT [CONTEXT...]",
  flags: [{ name: "force", short: "f", type: "bool", help: "Also the one in use" }],
  arguments: SOME_ARGUMENTS,
  complete: "contexts",
  run: (context, flags) =>
    forEachName(context, flags.positional, async (name) => {
      if (name === "default") throw new Error('context "default" cannot be removed');
      if (!flags.bool("force") && !listContexts(context).some((one) => one.name === name))
        throw new Error(`context ${JSON.stringify(name)} does not exist`);
      if (name === currentContext(context.configFolder) && !flags.bool("force"))
        throw new Error(`context ${JSON.stringify(name)} is in use, set -f flag to force remove`);
      removeContext(context, name);
      return name;
    }),
};
