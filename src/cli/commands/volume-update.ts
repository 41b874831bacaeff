/** `gantry volume update`: of cluster volumes, which there are none of. */
import { type Command, ONE_ARGUMENT } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME",
  flags: [
    { name: "availability", type: "string", help: "active, pause or drain: of cluster volumes", default: "active" },
  ],
  arguments: ONE_ARGUMENT,
  complete: "volumes",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    await context.client.volumes.inspect(name);
    throw new Error("can only update cluster volumes");
  },
};
