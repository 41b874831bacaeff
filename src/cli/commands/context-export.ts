/** `gantry context export`. */
import { writeFileSync } from "node:fs";
import { errnoOf } from "../../base/errors.ts";
import type { Command } from "../command.ts";
import { packContext } from "../context-archive.ts";
import { loadContext } from "../contexts.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTEXT [FILE|-]",
  flags: [],
  arguments: { min: 1, max: 2 },
  complete: "contexts",
  run: async (context, flags) => {
    const [name = "", file = `${name}.dockercontext`] = flags.positional;
    const archive = await packContext(loadContext(context, name));
    if (file === "-") {
      context.out.write(archive);
      return 0;
    }
    try {
      // It holds keys.
      writeFileSync(file, archive, { mode: 0o600, flag: "wx" });
    } catch (error) {
      if (errnoOf(error) === "EEXIST") throw new Error(`open ${file}: file exists`, { cause: error });
      throw error;
    }
    context.err.write(`Written file "${file}"\n`);
    return 0;
  },
};
