/** `gantry search`. */
import type { SearchResult } from "../../client/images.ts";
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { FILTER_FLAG, filtersOf } from "../filters.ts";
import { FORMAT_FLAG, type Listing, printListing } from "../format/listing.ts";
import { ellipsis } from "../format/text.ts";
import { authHeader } from "../images/credentials.ts";

export const command: Command = {
  usage: "[OPTIONS] TERM",
  flags: [
    FILTER_FLAG,
    FORMAT_FLAG,
    { name: "limit", type: "int", help: "Greatest number of results" },
    { name: "no-trunc", type: "bool", help: "Don't shorten anything" },
  ],
  arguments: ONE_ARGUMENT,
  run: async (context, flags) => {
    const [term = ""] = flags.positional;
    const filters = filtersOf(flags.list("filter"));
    const limit = flags.changed("limit") ? flags.number("limit") : undefined;
    const rows = await context.client.images.search(term, { limit, filters, auth: authHeader(context, term) });
    await printListing(context, listing(flags.bool("no-trunc")), rows, { format: flags.text("format") });
    return 0;
  },
};

const MAX_DESCRIPTION = 45;

function listing(whole: boolean): Listing<SearchResult> {
  const flat = (text: string) => text.replace(/[\r\n]/g, " ");
  return {
    type: "*formatter.searchContext",
    shown: ["Name", "Description", "StarCount", "IsOfficial"],
    columns: [
      {
        name: "Description",
        header: "DESCRIPTION",
        of: ({ description }) => (whole ? flat(description) : ellipsis(flat(description), MAX_DESCRIPTION)),
      },
      { name: "IsAutomated", header: "AUTOMATED", of: ({ is_automated }) => (is_automated ? "[OK]" : "") },
      { name: "IsOfficial", header: "OFFICIAL", of: ({ is_official }) => (is_official ? "[OK]" : "") },
      { name: "Name", header: "NAME", of: ({ name }) => name },
      { name: "StarCount", header: "STARS", of: ({ star_count }) => String(star_count) },
    ],
  };
}
