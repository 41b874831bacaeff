/** `gantry wait`. */
import { type Command, ExitError, SOME_ARGUMENTS } from "../command.ts";
import { forEachName } from "../errors.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  arguments: SOME_ARGUMENTS,
  complete: "running",
  run: (context, flags) =>
    forEachName(context, flags.positional, async (name) => {
      const { StatusCode, Error: failure } = await (await context.client.containers.wait(name)).result;
      if (failure?.Message) throw new ExitError(1, failure.Message);
      return String(StatusCode);
    }),
};
