/** `gantry network exposure`. */
import type { ExposedPort } from "../../api/types/network.ts";
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { FORMAT_FLAG, type Listing, printListing } from "../format/listing.ts";

const FROM: Readonly<Record<ExposedPort["From"], string>> = {
  anywhere: "every network of this host",
  address: "the network of that address",
  route: "who has a route to it",
  link: "the network of the link",
  networks: "its own networks, this host",
  host: "this host",
};

/** Those that a machine other than this one may reach. */
const OUTSIDE: readonly string[] = ["anywhere", "address", "route", "link"] satisfies ExposedPort["From"][];

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", type: "bool", help: "Also what only this host and the containers' own networks reach" },
    FORMAT_FLAG,
  ],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const { PassedBy, Ports } = await context.client.networks.exposure();
    const rows = flags.bool("all") ? Ports : Ports.filter(({ From }) => OUTSIDE.includes(From));
    const format = flags.text("format");
    await printListing(context, LISTING, rows, { format, quiet: false });
    if (format === "" && PassedBy.length > 0 && rows.some(({ From, Relayed }) => isPublished(From) && !Relayed))
      context.err.write(
        `\nPublished ports go past the host's input rules (${PassedBy.join(", ")}). gantryd --publish-through=input makes them obey.\n`,
      );
    return 0;
  },
};

function isPublished(from: ExposedPort["From"]): boolean {
  return from === "anywhere" || from === "address";
}

const LISTING: Listing<ExposedPort> = {
  type: "*network.exposureContext",
  shown: ["Container", "Port", "At", "From", "Where", "Listens"],
  columns: [
    { name: "At", header: "REACHABLE AT", of: ({ At }) => At || "every port it listens at" },
    { name: "Container", header: "CONTAINER", of: ({ ContainerName }) => ContainerName },
    { name: "ContainerID", header: "CONTAINER ID", of: ({ ContainerID }) => ContainerID },
    { name: "From", header: "FROM", of: ({ From }) => FROM[From] },
    { name: "Listens", header: "LISTENS", of: ({ Listens }) => (Listens ? "yes" : "no") },
    { name: "Port", header: "PORT", of: ({ Port }) => Port },
    { name: "Relayed", header: "RELAYED", of: ({ Relayed }) => String(Relayed) },
    { name: "Where", header: "WHERE", of: ({ Where }) => Where.join(", ") },
  ],
};
