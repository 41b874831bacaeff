/** `gantry volume create`. */
import type { Command } from "../command.ts";
import { label } from "../run/checks.ts";
import { keyValues } from "../run/env.ts";

export const command: Command = {
  usage: "[OPTIONS] [VOLUME]",
  flags: [
    { name: "driver", short: "d", type: "string", help: "Driver of the volume", default: "local" },
    { name: "label", type: "list", help: "Set a label", check: label },
    { name: "name", type: "string", help: "Name of the volume", hidden: true },
    { name: "opt", short: "o", type: "map", help: "Options of the driver" },
  ],
  arguments: { min: 0, max: 1 },
  run: async (context, flags) => {
    const [name = flags.text("name")] = flags.positional;
    if (flags.changed("name") && flags.positional.length > 0)
      throw new Error("conflicting options: cannot specify a volume-name through both --name and as a positional arg");
    const { Name } = await context.client.volumes.create({
      Name: name,
      Driver: flags.text("driver"),
      DriverOpts: { ...flags.map("opt") },
      Labels: keyValues(flags.list("label")),
    });
    context.out.write(`${Name}\n`);
    return 0;
  },
};
