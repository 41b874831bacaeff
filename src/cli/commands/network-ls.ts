/** `gantry network ls`. */
import type { Network } from "../../api/types/network.ts";
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { FILTER_FLAG, filtersOf } from "../filters.ts";
import { FORMAT_FLAG, type Listing, printListing } from "../format/listing.ts";
import { naturalOrder } from "../format/natural-order.ts";
import { goTime, idText, labelsText } from "../format/text.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    FILTER_FLAG,
    FORMAT_FLAG,
    { name: "no-trunc", type: "bool", help: "Don't shorten anything" },
    { name: "quiet", short: "q", type: "bool", help: "Only show IDs" },
  ],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const networks = await context.client.networks.list(filtersOf(flags.list("filter")));
    const rows = networks.toSorted((a, b) => naturalOrder(a.Name, b.Name));
    await printListing(context, listing(flags.bool("no-trunc")), rows, {
      format: flags.text("format"),
      quiet: flags.bool("quiet"),
    });
    return 0;
  },
};

function listing(whole: boolean): Listing<Network> {
  return {
    type: "*network.networkContext",
    shown: ["ID", "Name", "Driver", "Scope"],
    columns: [
      { name: "CreatedAt", header: "CREATED AT", of: ({ Created }) => goTime(Created) },
      { name: "Driver", header: "DRIVER", of: ({ Driver }) => Driver },
      { name: "ID", header: "NETWORK ID", of: ({ Id }) => idText(Id, whole) },
      { name: "IPv4", header: "IPV4", of: ({ EnableIPv4 }) => String(EnableIPv4) },
      { name: "IPv6", header: "IPV6", of: ({ EnableIPv6 }) => String(EnableIPv6) },
      { name: "Internal", header: "INTERNAL", of: ({ Internal }) => String(Internal ?? false) },
      { name: "Labels", header: "LABELS", of: ({ Labels }) => labelsText(Labels) },
      { name: "Name", header: "NAME", of: ({ Name }) => Name },
      { name: "Scope", header: "SCOPE", of: ({ Scope }) => Scope },
    ],
    methods: { Label: { header: "LABELS", of: (row) => (name) => row.Labels?.[String(name)] ?? "" } },
  };
}
