/** `gantry history`. */
import type { ImageHistoryItem } from "../../api/types/image.ts";
import { humanDuration } from "../../base/human-duration.ts";
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { FORMAT_FLAG, type Listing, printListing } from "../format/listing.ts";
import { humanSize } from "../format/sizes.ts";
import { ellipsis, idText, localRfc3339 } from "../format/text.ts";
import { checkedPlatforms } from "../images/platforms.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE",
  flags: [
    FORMAT_FLAG,
    { name: "human", short: "H", type: "bool", help: "Print sizes and dates for people", default: "true" },
    { name: "no-trunc", type: "bool", help: "Don't shorten anything" },
    { name: "platform", type: "string", help: "Platform of the image, where it has several" },
    { name: "quiet", short: "q", type: "bool", help: "Only show IDs" },
  ],
  arguments: ONE_ARGUMENT,
  complete: "images",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    const [platform] = checkedPlatforms([flags.text("platform")]);
    const rows = await context.client.images.history(name, platform);
    const listing = historyListing(flags.bool("no-trunc"), flags.bool("human"));
    await printListing(context, listing, rows, { format: flags.text("format"), quiet: flags.bool("quiet") });
    return 0;
  },
};

const MAX_STEP = 45;

function historyListing(whole: boolean, human: boolean): Listing<ImageHistoryItem> {
  const date = ({ Created }: ImageHistoryItem) => localRfc3339(new Date(Created * 1000));
  const step = ({ CreatedBy }: ImageHistoryItem) => CreatedBy.replaceAll("\t", " ");
  return {
    type: "*formatter.historyContext",
    shown: ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
    columns: [
      { name: "Comment", header: "COMMENT", of: ({ Comment }) => Comment ?? "" },
      { name: "CreatedAt", header: "CREATED AT", of: date },
      { name: "CreatedBy", header: "CREATED BY", of: (row) => (whole ? step(row) : ellipsis(step(row), MAX_STEP)) },
      {
        name: "CreatedSince",
        header: human ? "CREATED" : "CREATED AT",
        of: (row) => (human ? since(row.Created) : date(row)),
      },
      { name: "ID", header: "IMAGE", of: ({ Id }) => idText(Id, whole) },
      { name: "Size", header: "SIZE", of: ({ Size }) => (human ? humanSize(Size, 3) : String(Size)) },
    ],
  };
}

function since(created: number): string {
  return created <= 0 ? "N/A" : `${humanDuration(Date.now() - created * 1000)} ago`;
}
