/** `gantry save`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { writeResponse } from "../response-file.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [
    {
      name: "output",
      short: "o",
      type: "string",
      help: "Write to this file, not to standard output",
      complete: "files",
    },
    { name: "platform", type: "string", help: "Save only this platform" },
  ],
  arguments: SOME_ARGUMENTS,
  complete: "images",
  run: async (context, flags) => {
    const names = flags.positional;
    await writeResponse(context, flags.text("output"), "save", () =>
      context.client.images.save(names, flags.text("platform")),
    );
    return 0;
  },
};
