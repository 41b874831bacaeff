/** `gantry logout`. */
import type { Command } from "../command.ts";
import { DEFAULT_REGISTRY } from "../images/credentials.ts";
import { storeCredentials } from "../images/store-credentials.ts";

export const command: Command = {
  usage: "[SERVER]",
  arguments: { min: 0, max: 1 },
  run: async (context, flags) => {
    const [server = DEFAULT_REGISTRY] = flags.positional;
    const known = storeCredentials(context, server, undefined);
    context.out.write(known ? `Removing login credentials for ${server}\n` : `Not logged in to ${server}\n`);
    return 0;
  },
};
