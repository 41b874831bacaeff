/** `gantry context inspect`. */
import { ANY_ARGUMENTS, type Command } from "../command.ts";
import { contextNamed } from "../contexts.ts";
import { indentJson } from "../format/indent-json.ts";
import { printObject } from "../format/object-format.ts";

export const command: Command = {
  usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
  flags: [{ name: "format", short: "f", type: "string", help: "How to print: 'json' or a Go template" }],
  arguments: ANY_ARGUMENTS,
  complete: "contexts",
  run: async (context, flags) => {
    const names = flags.positional.length > 0 ? flags.positional : [context.endpoint.context];
    const objects = names.map((name) => {
      const { description, host } = contextNamed(context, name);
      const Metadata = description === "" || name === "default" ? {} : { Description: description };
      return { Name: name, Metadata, Endpoints: { docker: { Host: host, SkipTLSVerify: false } }, TLSMaterial: {} };
    });
    const format = flags.text("format");
    if (format === "") context.out.write(`${indentJson(JSON.stringify(objects))}\n`);
    else for (const object of objects) await printObject(context, format, object);
    return 0;
  },
};
