/** `gantry load`. */
import { isatty } from "node:tty";
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { showProgress } from "../format/progress.ts";
import { checkedPlatforms } from "../images/platforms.ts";
import { readFile } from "../read-file.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    {
      name: "input",
      short: "i",
      type: "string",
      help: "Read the archive from this file, not from standard input",
      complete: "files",
    },
    { name: "platform", type: "strings", help: "Load only these platforms" },
    { name: "quiet", short: "q", type: "bool", help: "Don't show progress" },
  ],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const path = flags.text("input");
    const platforms = checkedPlatforms(flags.list("platform"));
    if (path === "" && isatty(0)) throw new Error("requested load from stdin, but stdin is empty");
    const archive = path === "" ? process.stdin : readFile(path);
    const messages = await context.client.images.load(archive, {
      quiet: flags.bool("quiet"),
      platforms,
    });
    await showProgress(messages, context.out);
    return 0;
  },
};
