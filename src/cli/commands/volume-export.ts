/** `gantry volume export`. */
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { writeResponse } from "../response-file.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME",
  flags: [
    {
      name: "output",
      short: "o",
      type: "string",
      help: "Write to this file, not to standard output",
      complete: "files",
    },
  ],
  arguments: ONE_ARGUMENT,
  complete: "volumes",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    await writeResponse(context, flags.text("output"), "export volume", () => context.client.volumes.export(name));
    return 0;
  },
};
