/** `gantry completion`: scripts that ask `gantry __complete` for every word, so that they never grow old. */
import { type Command, ExitError, ONE_ARGUMENT } from "../command.ts";
import { SCRIPTS } from "../completion/scripts.ts";

export const command: Command = {
  usage: "bash|zsh|fish",
  arguments: ONE_ARGUMENT,
  run: async (context, flags) => {
    const [shell = ""] = flags.positional;
    const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
    if (script === undefined)
      throw new ExitError(1, `unknown shell ${JSON.stringify(shell)}; one of: ${Object.keys(SCRIPTS).join(", ")}`);
    context.out.write(script);
    return 0;
  },
};
