/** `gantry manifest rm`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { forEachName } from "../errors.ts";
import { fullName, removeList } from "../images/manifest-lists.ts";

export const command: Command = {
  usage: "MANIFEST_LIST [MANIFEST_LIST...]",
  arguments: SOME_ARGUMENTS,
  run: (context, flags) =>
    forEachName(context, flags.positional, async (name) => {
      removeList(context, fullName(name));
      return undefined;
    }),
};
