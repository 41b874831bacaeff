/** `gantry context inspect`. */
import { ANY_ARGUMENTS, type Command } from "../command.ts";
import type { Context } from "../context.ts";
import { loadContext, storagePaths } from "../contexts.ts";
import { errorText } from "../errors.ts";
import { indentJson } from "../format/indent-json.ts";
import { printObject } from "../format/object-format.ts";

export const command: Command = {
  usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
  flags: [{ name: "format", short: "f", type: "string", help: "How to print: 'json' or a Go template" }],
  arguments: ANY_ARGUMENTS,
  complete: "contexts",
  run: async (context, flags) => {
    const names = flags.positional.length > 0 ? flags.positional : [context.endpoint.context];
    const objects: object[] = [];
    let complaint = "";
    for (const name of names)
      try {
        objects.push(describe(context, name));
      } catch (error) {
        complaint = errorText(error);
        break;
      }
    const format = flags.text("format");
    if (format === "") context.out.write(`${indentJson(JSON.stringify(objects))}\n`);
    else for (const object of objects) await printObject(context, format, object);
    if (complaint === "") return 0;
    context.err.write(`${complaint}\n`);
    return 1;
  },
};

function describe(context: Context, name: string): object {
  const { meta, tls } = loadContext(context, name);
  const { Description = "" } = meta.Metadata ?? {};
  const material = Object.entries(tls).filter(([, files]) => Object.keys(files).length > 0);
  return {
    Name: name,
    Metadata: Description === "" ? {} : { Description },
    Endpoints: meta.Endpoints,
    TLSMaterial: Object.fromEntries(material.map(([endpoint, files]) => [endpoint, Object.keys(files).toSorted()])),
    Storage: storagePaths(context, name),
  };
}
