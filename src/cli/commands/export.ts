/** `gantry export`. */
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { writeResponse } from "../response-file.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
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
  complete: "containers",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    await writeResponse(context, flags.text("output"), "export container", () =>
      context.client.containers.export(name),
    );
    return 0;
  },
};
