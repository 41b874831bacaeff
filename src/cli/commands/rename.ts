/** `gantry rename`. */
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "CONTAINER NEW_NAME",
  arguments: { min: 2, max: 2 },
  complete: "containers",
  run: async (context, flags) => {
    const [from = "", to = ""] = flags.positional.map((name) => name.trim());
    if (from === "" || to === "") throw new Error("Error: Neither old nor new names may be empty");
    await context.client.containers.rename(from, to);
    return 0;
  },
};
