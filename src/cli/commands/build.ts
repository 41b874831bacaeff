/** `gantry build`. */
import { BUILD_FLAGS } from "../build/flags.ts";
import { type Command, ONE_ARGUMENT } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] PATH | URL | -",
  flags: BUILD_FLAGS,
  arguments: ONE_ARGUMENT,
  complete: "folders",
  run: async (context, flags) => {
    const { runBuild } = await import("../build/run.ts");
    return await runBuild(context, flags);
  },
};
