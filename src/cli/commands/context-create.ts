/** `gantry context create`. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseHost } from "../../client/host.ts";
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { metaFile } from "../contexts.ts";
import { keyValues } from "../run/env.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTEXT",
  flags: [
    { name: "description", type: "string", help: "What it is for" },
    { name: "docker", type: "strings", help: "The daemon: host=ADDRESS" },
  ],
  arguments: ONE_ARGUMENT,
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/.test(name) || name === "default")
      throw new Error(
        `context name ${JSON.stringify(name)} is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"`,
      );
    const host = keyValues(flags.list("docker")).host ?? "";
    if (host === "") throw new Error("docker endpoint configuration is required");
    parseHost(host);
    const file = metaFile(context, name);
    if (existsSync(file)) throw new Error(`context ${JSON.stringify(name)} already exists`);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const Metadata = flags.text("description") === "" ? {} : { Description: flags.text("description") };
    const meta = { Name: name, Metadata, Endpoints: { docker: { Host: host, SkipTLSVerify: false } } };
    writeFileSync(file, JSON.stringify(meta), { mode: 0o644 });
    context.out.write(`${name}\n`);
    context.err.write(`Successfully created context "${name}"\n`);
    return 0;
  },
};
