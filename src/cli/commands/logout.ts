/** `gantry logout`. */
import type { Command } from "../command.ts";
import { DEFAULT_REGISTRY, serverName } from "../images/credentials.ts";
import { forgetCredentials } from "../images/store-credentials.ts";

export const command: Command = {
  usage: "[SERVER]",
  arguments: { min: 0, max: 1 },
  run: async (context, flags) => {
    const server = serverName(flags.positional[0] ?? DEFAULT_REGISTRY);
    const known = forgetCredentials(context, server);
    context.out.write(known ? `Removing login credentials for ${server}\n` : `Not logged in to ${server}\n`);
    return 0;
  },
};
