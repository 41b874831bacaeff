/** `gantry daemon`: the engine in the foreground, with dockerd's flags. */
import { ANY_ARGUMENTS, type Command } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: ANY_ARGUMENTS,
  raw: true,
  run: async (context, flags) => {
    const { main } = await import("../../daemon/main.ts");
    return await main(flags.positional, context.env, context.name);
  },
};
