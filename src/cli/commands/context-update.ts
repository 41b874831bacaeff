/** `gantry context update`. */
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { DOCKER_FLAG, dockerEndpoint } from "../context-endpoint.ts";
import { loadContext, storeContext } from "../contexts.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTEXT",
  flags: [{ name: "description", type: "string", help: "What it is for" }, DOCKER_FLAG],
  arguments: ONE_ARGUMENT,
  complete: "contexts",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    if (name === "default") throw new Error('"default" is a reserved context name');
    const before = loadContext(context, name);
    const description = flags.text("description") || before.meta.Metadata?.Description || "";
    const words = flags.list("docker");
    const changed = words.length === 0 ? undefined : dockerEndpoint(context, words);
    const Metadata = { ...before.meta.Metadata, ...(description === "" ? {} : { Description: description }) };
    storeContext(context, {
      meta: {
        ...before.meta,
        Metadata,
        Endpoints: changed === undefined ? before.meta.Endpoints : { ...before.meta.Endpoints, docker: changed.meta },
      },
      tls: changed === undefined ? before.tls : { ...before.tls, docker: changed.files },
    });
    context.out.write(`${name}\n`);
    context.err.write(`Successfully updated context "${name}"\n`);
    return 0;
  },
};
