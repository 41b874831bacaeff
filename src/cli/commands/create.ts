/** `gantry create`. */
import { errorMessage } from "../../base/errors.ts";
import { type Command, ExitError, SOME_ARGUMENTS } from "../command.ts";
import { createContainer } from "../run/create.ts";
import { CONTAINER_FLAGS } from "../run/flags.ts";
import { containerRequest } from "../run/request.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  flags: CONTAINER_FLAGS,
  arguments: SOME_ARGUMENTS,
  interspersed: false,
  complete: "images",
  run: async (context, flags) => {
    let request: ReturnType<typeof containerRequest>;
    try {
      request = containerRequest(flags, context.env);
    } catch (error) {
      throw new ExitError(
        125,
        `${context.program}: ${errorMessage(error)}\n\nRun '${context.name} --help' for more information`,
      );
    }
    context.out.write(`${await createContainer(context, flags, request)}\n`);
    return 0;
  },
};
