/** `gantry context show`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";

export const command: Command = {
  usage: "",
  arguments: NO_ARGUMENTS,
  run: async (context) => {
    context.out.write(`${context.endpoint.context}\n`);
    return 0;
  },
};
