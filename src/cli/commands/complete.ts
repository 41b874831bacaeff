/** `gantry __complete WORDS…`: what the last word could become, a line each. */
import { ANY_ARGUMENTS, type Command } from "../command.ts";
import { completions } from "../completion/complete.ts";

export const command: Command = {
  usage: "[WORD...]",
  arguments: ANY_ARGUMENTS,
  raw: true,
  run: async (context, flags) => {
    context.out.write((await completions(context, flags.positional)).map((word) => `${word}\n`).join(""));
    return 0;
  },
};
