/** `gantry context import`. */
import type { Command } from "../command.ts";
import { unpackContext } from "../context-archive.ts";
import { checkNewName, storeContext } from "../contexts.ts";
import { readFile } from "../read-file.ts";

export const command: Command = {
  usage: "CONTEXT FILE|-",
  arguments: { min: 2, max: 2 },
  run: async (context, flags) => {
    const [name = "", file = ""] = flags.positional;
    checkNewName(context, name);
    const source: AsyncIterable<Buffer> = file === "-" ? process.stdin : readFile(file);
    storeContext(context, await unpackContext(source, name));
    context.out.write(`${name}\n`);
    context.err.write(`Successfully imported context "${name}"\n`);
    return 0;
  },
};
