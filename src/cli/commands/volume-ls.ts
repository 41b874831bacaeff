/** `gantry volume ls`. */
import type { Volume } from "../../api/types/volume.ts";
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { FILTER_FLAG, filtersOf } from "../filters.ts";
import { FORMAT_FLAG, type Listing, printListing } from "../format/listing.ts";
import { naturalOrder } from "../format/natural-order.ts";
import { humanSize } from "../format/sizes.ts";
import { labelsText } from "../format/text.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [FILTER_FLAG, FORMAT_FLAG, { name: "quiet", short: "q", type: "bool", help: "Only show names" }],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const { Volumes } = await context.client.volumes.list(filtersOf(flags.list("filter")));
    const rows = (Volumes ?? []).toSorted((a, b) => naturalOrder(a.Name, b.Name));
    await printListing(context, VOLUME_LISTING, rows, { format: flags.text("format"), quiet: flags.bool("quiet") });
    return 0;
  },
};

export const VOLUME_LISTING: Listing<Volume> = {
  type: "*formatter.volumeContext",
  shown: ["Driver", "Name"],
  quiet: "Name",
  columns: [
    { name: "Availability", header: "AVAILABILITY", of: () => "N/A" },
    { name: "Driver", header: "DRIVER", of: ({ Driver }) => Driver },
    { name: "Group", header: "GROUP", of: () => "N/A" },
    { name: "Labels", header: "LABELS", of: ({ Labels }) => labelsText(Labels) },
    {
      name: "Links",
      header: "LINKS",
      of: ({ UsageData }) => (UsageData ? String(UsageData.RefCount) : "N/A"),
    },
    { name: "Mountpoint", header: "MOUNTPOINT", of: ({ Mountpoint }) => Mountpoint },
    { name: "Name", header: "VOLUME NAME", of: ({ Name }) => Name },
    { name: "Scope", header: "SCOPE", of: ({ Scope }) => Scope },
    { name: "Size", header: "SIZE", of: ({ UsageData }) => (UsageData ? humanSize(UsageData.Size ?? 0) : "N/A") },
    { name: "Status", header: "STATUS", of: () => "N/A" },
  ],
  methods: { Label: { header: "LABELS", of: (row) => (name) => row.Labels?.[String(name)] ?? "" } },
};
