/** `gantry cp`. */
import type { Command } from "../command.ts";
import { copyIn, streamIn } from "../copy/into.ts";
import { copyOut, streamOut } from "../copy/out.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|- | SRC_PATH|- CONTAINER:DEST_PATH",
  flags: [
    { name: "archive", short: "a", type: "bool", help: "Keep owners" },
    { name: "follow-link", short: "L", type: "bool", help: "Copy what a symbolic link points to" },
    { name: "quiet", short: "q", type: "bool", help: "Don't say what was copied" },
  ],
  arguments: { min: 2, max: 2 },
  complete: "containers",
  run: async (context, flags) => {
    const [source = "", target = ""] = flags.positional;
    if (source === "") throw new Error("source can not be empty");
    if (target === "") throw new Error("destination can not be empty");
    const [from, to] = [place(source), place(target)];
    const options = { archive: flags.bool("archive"), followLink: flags.bool("follow-link") };
    if (from.container !== undefined && to.container !== undefined)
      throw new Error("copying between containers is not supported");
    if (from.container !== undefined)
      await (to.path === "-"
        ? streamOut(context, from.container, from.path, options)
        : copyOut(context, from.container, from.path, to.path, options));
    else if (to.container !== undefined)
      await (from.path === "-"
        ? streamIn(context, to.container, to.path, options)
        : copyIn(context, from.path, to.container, to.path, options));
    else throw new Error("must specify at least one container source");
    return 0;
  },
};

/** "name:path" is in a container; a path that starts with "/" or "." is here. */
function place(word: string): { container: string | undefined; path: string } {
  const colon = word.indexOf(":");
  if (/^[/.]/.test(word) || colon <= 0) return { container: undefined, path: word };
  return { container: word.slice(0, colon), path: word.slice(colon + 1) };
}
