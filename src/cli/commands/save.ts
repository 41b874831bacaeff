/** `gantry save`. */

import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { checkedPlatforms } from "../images/platforms.ts";
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
    { name: "platform", type: "strings", help: "Save only these platforms" },
  ],
  arguments: SOME_ARGUMENTS,
  complete: "images",
  run: async (context, flags) => {
    const names = flags.positional;
    const platforms = checkedPlatforms(flags.list("platform"));
    await writeResponse(context, flags.text("output"), "save image", () =>
      context.client.images.save(names, platforms),
    );
    return 0;
  },
};
