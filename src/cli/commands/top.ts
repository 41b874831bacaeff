/** `gantry top`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { alignCells } from "../format/tabwriter.ts";

export const command: Command = {
  usage: "CONTAINER [ps OPTIONS]",
  arguments: SOME_ARGUMENTS,
  interspersed: false,
  complete: "running",
  run: async (context, flags) => {
    const [name = "", ...options] = flags.positional;
    const { Titles, Processes } = await context.client.containers.top(name, options.join(" "));
    context.out.write(alignCells([Titles, ...(Processes ?? [])], 3, 20));
    return 0;
  },
};
