/** `gantry diff`. */
import { type Command, ONE_ARGUMENT } from "../command.ts";

const KINDS = ["C", "A", "D"];

export const command: Command = {
  usage: "CONTAINER",
  arguments: ONE_ARGUMENT,
  complete: "containers",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    if (name === "") throw new Error("Container name cannot be empty");
    const changes = await context.client.containers.changes(name);
    context.out.write(changes.map(({ Kind, Path }) => `${KINDS[Kind]} ${Path}\n`).join(""));
    return 0;
  },
};
