/** `gantry volume import`. */
import { isatty } from "node:tty";
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { readFile } from "../read-file.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME",
  flags: [
    {
      name: "input",
      short: "i",
      type: "string",
      help: "Read the archive from this file, not from standard input",
      complete: "files",
    },
  ],
  arguments: ONE_ARGUMENT,
  complete: "volumes",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    const path = flags.text("input");
    if (path === "" && isatty(0)) throw new Error("there is no archive: name a file with --input or redirect one here");
    const { Name } = await context.client.volumes.import(name, path === "" ? process.stdin : readFile(path));
    context.out.write(`${Name}\n`);
    return 0;
  },
};
