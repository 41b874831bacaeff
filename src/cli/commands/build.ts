/** `gantry build`: not here yet; the daemon says so, with what to do instead. */
import { ANY_ARGUMENTS, type Command } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] PATH | URL | -",
  arguments: ANY_ARGUMENTS,
  raw: true,
  run: async (context) => {
    await context.client.transport.text("POST", "/build", { query: { dockerfile: "Dockerfile" } });
    return 0;
  },
};
