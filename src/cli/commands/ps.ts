/** `gantry ps`, `gantry container ls`. */
import type { ContainerSummary } from "../../api/types/container.ts";
import { humanDuration } from "../../base/human-duration.ts";
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { FILTER_FLAG, filtersOf } from "../filters.ts";
import { FORMAT_FLAG, type Listing, printListing } from "../format/listing.ts";
import { portsText } from "../format/ports.ts";
import { humanSize } from "../format/sizes.ts";
import { ellipsis, idText, labelsText, localTime } from "../format/text.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", type: "bool", help: "Show all containers, not only those that run" },
    FILTER_FLAG,
    FORMAT_FLAG,
    {
      name: "last",
      short: "n",
      type: "int",
      help: "Show the last N created containers, in any state",
      default: "-1",
    },
    { name: "latest", short: "l", type: "bool", help: "Show the container created last, in any state" },
    { name: "no-trunc", type: "bool", help: "Don't shorten anything" },
    { name: "quiet", short: "q", type: "bool", help: "Only show IDs" },
    { name: "size", short: "s", type: "bool", help: "Show sizes on disk" },
  ],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const format = flags.text("format");
    const sized = flags.bool("size");
    const last = flags.bool("latest") && !flags.changed("last") ? 1 : flags.number("last");
    const rows = await context.client.containers.list({
      all: flags.bool("all"),
      limit: last > 0 ? last : undefined,
      size: sized || /\.Size\b|json \./.test(format),
      filters: filtersOf(flags.list("filter")),
    });
    const listing = containerListing(flags.bool("no-trunc"), sized);
    await printListing(context, listing, rows, { format, quiet: flags.bool("quiet") });
    return 0;
  },
};

const MAX_COMMAND = 20;
const MAX_MOUNT = 15;

export function containerListing(whole: boolean, sized: boolean): Listing<ContainerSummary> {
  const shown = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
  return {
    type: "*formatter.ContainerContext",
    shown: sized ? [...shown, "Size"] : shown,
    columns: [
      {
        name: "Command",
        header: "COMMAND",
        of: ({ Command: text }) => JSON.stringify(whole ? text : ellipsis(text, MAX_COMMAND)),
      },
      { name: "CreatedAt", header: "CREATED AT", of: ({ Created }) => localTime(new Date(Created * 1000)) },
      { name: "ID", header: "CONTAINER ID", of: ({ Id }) => idText(Id, whole) },
      { name: "Image", header: "IMAGE", of: (row) => imageText(row, whole) },
      { name: "Labels", header: "LABELS", of: ({ Labels }) => labelsText(Labels) },
      {
        name: "LocalVolumes",
        header: "LOCAL VOLUMES",
        of: ({ Mounts }) => String((Mounts ?? []).filter(({ Driver }) => Driver === "local").length),
      },
      { name: "Mounts", header: "MOUNTS", of: (row) => mountsText(row, whole) },
      { name: "Names", header: "NAMES", of: (row) => namesText(row, whole) },
      {
        name: "Networks",
        header: "NETWORKS",
        of: ({ NetworkSettings }) => Object.keys(NetworkSettings?.Networks ?? {}).join(","),
      },
      { name: "Platform", header: "PLATFORM", of: platformText },
      { name: "Ports", header: "PORTS", of: ({ Ports }) => portsText(Ports ?? []) },
      {
        name: "RunningFor",
        header: "CREATED",
        of: ({ Created }) => `${humanDuration(Date.now() - Created * 1000)} ago`,
      },
      { name: "Size", header: "SIZE", of: sizeText },
      { name: "State", header: "STATE", of: ({ State }) => State },
      { name: "Status", header: "STATUS", of: ({ Status }) => Status },
    ],
    methods: {
      Label: { header: "LABELS", of: (row) => (name) => row.Labels?.[String(name)] ?? "" },
    },
  };
}

/** A name that became a digest is shown short. */
function imageText({ Image, ImageID }: ContainerSummary, whole: boolean): string {
  if (Image === "") return "<no image>";
  if (whole) return Image;
  if (Image === ImageID || Image === ImageID.replace("sha256:", "")) return idText(ImageID, false);
  return Image.replace(/@sha256:[0-9a-f]{64}$/, "");
}

/** Names through links ("/other/alias") are left out. */
function namesText({ Names }: ContainerSummary, whole: boolean): string {
  const names = (Names ?? []).map((name) => name.replace(/^\//, ""));
  return (whole ? names : names.filter((name) => !name.includes("/"))).join(",");
}

function mountsText({ Mounts }: ContainerSummary, whole: boolean): string {
  const names = (Mounts ?? []).map(({ Name, Source }) => Name || Source);
  return names.map((name) => (whole ? name : ellipsis(name, MAX_MOUNT))).join(",");
}

function platformText({ ImageManifestDescriptor }: ContainerSummary): string {
  const platform = ImageManifestDescriptor?.platform;
  if (platform === undefined) return "";
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join("/");
}

function sizeText({ SizeRw, SizeRootFs }: ContainerSummary): string {
  const own = humanSize(SizeRw ?? 0, 3);
  return SizeRootFs ? `${own} (virtual ${humanSize(SizeRootFs, 3)})` : own;
}
