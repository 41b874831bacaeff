/** `gantry context ls`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { type KnownContext, listContexts } from "../contexts.ts";
import { FORMAT_FLAG, type Listing, printListing } from "../format/listing.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [FORMAT_FLAG, { name: "quiet", short: "q", type: "bool", help: "Only show names" }],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const inUse = context.endpoint.context;
    const rows = listContexts(context);
    await printListing(context, listing(inUse), rows, { format: flags.text("format"), quiet: flags.bool("quiet") });
    const variable = ["GANTRY_HOST", "DOCKER_HOST"].find((one) => context.env[one]);
    if (variable !== undefined && !flags.bool("quiet"))
      context.err.write(
        `Warning: ${variable} environment variable overrides the active context. To use a context, either set the global --context flag, or unset ${variable} environment variable.\n`,
      );
    return 0;
  },
};

function listing(inUse: string): Listing<KnownContext> {
  return {
    type: "*formatter.clientContextContext",
    shown: ["Marked", "Description", "DockerEndpoint", "Error"],
    quiet: "Name",
    columns: [
      { name: "Current", header: "CURRENT", of: ({ name }) => String(name === inUse) },
      { name: "Description", header: "DESCRIPTION", of: ({ description }) => description },
      { name: "DockerEndpoint", header: "DOCKER ENDPOINT", of: ({ host }) => host },
      { name: "Error", header: "ERROR", of: () => "" },
      { name: "Marked", header: "NAME", of: ({ name }) => (name === inUse ? `${name} *` : name) },
      { name: "Name", header: "NAME", of: ({ name }) => name },
    ],
  };
}
