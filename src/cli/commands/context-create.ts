/** `gantry context create`. */
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { DOCKER_FLAG, dockerEndpoint, dockerPart } from "../context-endpoint.ts";
import { checkNewName, loadContext, storeContext } from "../contexts.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTEXT",
  flags: [
    { name: "description", type: "string", help: "What it is for" },
    DOCKER_FLAG,
    { name: "from", type: "string", help: "Context to copy", complete: "contexts" },
  ],
  arguments: ONE_ARGUMENT,
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    const words = flags.list("docker");
    const from = flags.text("from");
    checkNewName(context, name);
    if (from !== "" && words.length > 0) throw new Error("cannot use --docker flag when --from is set");
    const source = words.length > 0 ? undefined : loadContext(context, from || context.endpoint.context);
    const { meta, files } = source === undefined ? dockerEndpoint(context, words) : dockerPart(source);
    const description = flags.text("description") || source?.meta.Metadata?.Description || "";
    storeContext(context, {
      meta: {
        Name: name,
        Metadata: description === "" ? {} : { Description: description },
        Endpoints: { docker: meta },
      },
      tls: Object.keys(files).length === 0 ? {} : { docker: files },
    });
    context.out.write(`${name}\n`);
    context.err.write(`Successfully created context "${name}"\n`);
    return 0;
  },
};
