/** `gantry context use`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { contextNamed } from "../contexts.ts";

export const command: Command = {
  usage: "CONTEXT",
  arguments: ONE_ARGUMENT,
  complete: "contexts",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    contextNamed(context, name);
    mkdirSync(context.configFolder, { recursive: true, mode: 0o700 });
    writeFileSync(join(context.configFolder, "gantry.json"), `${JSON.stringify({ currentContext: name })}\n`);
    context.out.write(`${name}\n`);
    context.err.write(`Current context is now "${name}"\n`);
    const variable = ["GANTRY_HOST", "DOCKER_HOST"].find((one) => context.env[one]);
    if (variable !== undefined && name !== "default")
      context.err.write(
        `Warning: ${variable} environment variable overrides the active context. To use "${name}", either set the global --context flag, or unset ${variable} environment variable.\n`,
      );
    return 0;
  },
};
