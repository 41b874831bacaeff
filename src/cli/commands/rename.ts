/** `gantry rename`. */
import { type Command, ExitError } from "../command.ts";
import { errorText } from "../errors.ts";

export const command: Command = {
  usage: "CONTAINER NEW_NAME",
  arguments: { min: 2, max: 2 },
  complete: "containers",
  run: async (context, flags) => {
    const [from = "", to = ""] = flags.positional.map((name) => name.trim());
    if (from === "" || to === "") throw new Error("Error: Neither old nor new names may be empty");
    try {
      await context.client.containers.rename(from, to);
    } catch (error) {
      throw new ExitError(1, `${errorText(error)}\nError: failed to rename container named ${from}`);
    }
    return 0;
  },
};
