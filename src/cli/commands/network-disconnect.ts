/** `gantry network disconnect`. */
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: [{ name: "force", short: "f", type: "bool", help: "Also when the container is gone" }],
  arguments: { min: 2, max: 2 },
  complete: "networks",
  run: async (context, flags) => {
    const [network = "", container = ""] = flags.positional;
    await context.client.networks.disconnect(network, container, flags.bool("force"));
    return 0;
  },
};
