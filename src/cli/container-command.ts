import { type Command, SOME_ARGUMENTS } from "./command.ts";
import type { Context } from "./context.ts";
import { forEachName } from "./errors.ts";
import type { FlagSpec, ParsedFlags } from "./flags/spec.ts";

/** A command that does one thing to each container it is given, to all at once, and prints their names as they are done. */
export function containerCommand(
  act: (containers: Context["client"]["containers"], name: string, flags: ParsedFlags) => Promise<unknown>,
  { flags = [], complete = "running" }: { flags?: readonly FlagSpec[]; complete?: "running" | "containers" } = {},
): Command {
  return {
    usage: `${flags.length > 0 ? "[OPTIONS] " : ""}CONTAINER [CONTAINER...]`,
    flags,
    arguments: SOME_ARGUMENTS,
    complete,
    run: (context, parsed) =>
      forEachName(
        context,
        parsed.positional,
        async (name) => {
          await act(context.client.containers, name, parsed);
          return name;
        },
        { parallel: true },
      ),
  };
}
