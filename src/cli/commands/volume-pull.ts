/** `gantry volume pull`. */
import type { Command } from "../command.ts";
import { showProgress } from "../format/progress.ts";
import { authHeader } from "../images/credentials.ts";
import { checkedName, splitImage } from "../images/name.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG] VOLUME",
  flags: [{ name: "quiet", short: "q", type: "bool", help: "Don't show progress" }],
  arguments: { min: 2, max: 2 },
  complete: "volumes",
  run: async (context, flags) => {
    const [name = "", volume = ""] = flags.positional;
    const auth = authHeader(context, splitImage(checkedName(name)).repo);
    await showProgress(
      await context.client.volumes.pull(name, volume, auth),
      flags.bool("quiet") ? undefined : context.out,
    );
    return 0;
  },
};
