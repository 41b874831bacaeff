/** `gantry volume restore`. */
import type { Command } from "../command.ts";
import { confirm } from "../prune.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME SNAPSHOT",
  flags: [{ name: "force", short: "f", type: "bool", help: "Don't ask" }],
  arguments: { min: 2, max: 2 },
  complete: "volumes",
  run: async (context, flags) => {
    const [name = "", from = ""] = flags.positional;
    const warning = `WARNING! All that ${name} holds now will be replaced by what ${from} holds.`;
    await confirm(context, flags, `${warning}\nAre you sure you want to continue?`);
    await context.client.volumes.restore(name, from);
    context.out.write(`${name}\n`);
    return 0;
  },
};
