/** `gantry images`. */
import type { ImageSummary } from "../../api/types/image.ts";
import { humanDuration } from "../../base/human-duration.ts";
import type { Filters } from "../../client/containers.ts";
import type { Command } from "../command.ts";
import type { Context } from "../context.ts";
import { FILTER_FLAG, filtersOf } from "../filters.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { FORMAT_FLAG, type Listing, printListing } from "../format/listing.ts";
import { humanSize } from "../format/sizes.ts";
import { idText, localTime } from "../format/text.ts";

export const command: Command = {
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  flags: [
    { name: "all", short: "a", type: "bool", help: "Show also the images that only others are made from" },
    { name: "digests", type: "bool", help: "Show digests" },
    FILTER_FLAG,
    FORMAT_FLAG,
    { name: "no-trunc", type: "bool", help: "Don't shorten anything" },
    { name: "quiet", short: "q", type: "bool", help: "Only show IDs" },
    { name: "tree", type: "bool", help: "Show each image's platforms" },
  ],
  arguments: { min: 0, max: 1 },
  complete: "images",
  run: async (context, flags) => {
    const filters = { ...filtersOf(flags.list("filter")) };
    const [pattern] = flags.positional;
    if (pattern !== undefined) filters.reference = [...(filters.reference ?? []), pattern];
    if (flags.bool("tree")) return await printTree(context, flags, filters);
    const images = await context.client.images.list({ all: flags.bool("all"), filters });
    const [format, digests] = [flags.text("format"), flags.bool("digests")];
    const withDigests = digests || /\.Digest\b/.test(format);
    const rows = images.flatMap((image) => rowsOf(image, withDigests));
    await printListing(context, imageListing(flags.bool("no-trunc"), digests), rows, {
      format,
      quiet: flags.bool("quiet"),
    });
    return 0;
  },
};

const NOT_WITH_TREE = ["quiet", "no-trunc", "digests", "format"];

async function printTree(context: Context, flags: ParsedFlags, filters: Filters): Promise<number> {
  const refused = NOT_WITH_TREE.find((name) => flags.changed(name));
  if (refused !== undefined) throw new Error(`--${refused} is not yet supported with --tree`);
  const images = await context.client.images.list({ all: flags.bool("all"), filters, manifests: true });
  context.out.write((await import("../format/image-tree.ts")).imageTree(images));
  return 0;
}

const NONE = "<none>";

export interface Row {
  readonly image: ImageSummary;
  readonly repo: string;
  readonly tag: string;
  readonly digest: string;
}

/** A row per name; an image with none has one of its own. */
function rowsOf(image: ImageSummary, withDigests: boolean): Row[] {
  const digests = (image.RepoDigests ?? []).filter((name) => !name.startsWith(NONE)).map((name) => halves(name, "@"));
  const tags = (image.RepoTags ?? []).filter((name) => !name.startsWith(NONE)).map((name) => halves(name, ":"));
  const tagged = tags.flatMap(([repo, tag]) => {
    const own = withDigests ? digests.filter(([of]) => of === repo).map(([, digest]) => digest) : [];
    return (own.length === 0 ? [NONE] : own).map((digest) => ({ image, repo, tag, digest }));
  });
  const repos = new Set(tags.map(([repo]) => repo));
  const others = digests.filter(([repo]) => !repos.has(repo));
  const untagged = withDigests
    ? others.map(([repo, digest]) => ({ image, repo, tag: NONE, digest }))
    : [...new Set(others.map(([repo]) => repo))].map((repo) => ({ image, repo, tag: NONE, digest: NONE }));
  const rows = [...tagged, ...untagged];
  return rows.length > 0 ? rows : [{ image, repo: NONE, tag: NONE, digest: NONE }];
}

/** The first name alone. */
export function imageRow(image: ImageSummary): Row {
  const [repo, tag] = halves(image.RepoTags?.[0] ?? `${NONE}:${NONE}`, ":");
  return { image, repo, tag, digest: "" };
}

function halves(name: string, separator: string): [string, string] {
  const at = name.lastIndexOf(separator);
  return [name.slice(0, at), name.slice(at + 1)];
}

const known = (size: number | undefined) => (size === undefined || size < 0 ? "N/A" : humanSize(size));

export function imageListing(whole: boolean, digests: boolean): Listing<Row> {
  return {
    type: "*formatter.imageContext",
    shown: ["Repository", "Tag", ...(digests ? ["Digest"] : []), "ID", "CreatedSince", "Size"],
    columns: [
      {
        name: "Containers",
        header: "CONTAINERS",
        of: ({ image }) => ((image.Containers ?? -1) < 0 ? "N/A" : String(image.Containers)),
      },
      { name: "CreatedAt", header: "CREATED AT", of: ({ image }) => localTime(new Date(image.Created * 1000)) },
      { name: "CreatedSince", header: "CREATED", of: ({ image }) => since(image.Created) },
      { name: "Digest", header: "DIGEST", of: ({ digest }) => digest },
      { name: "ID", header: "IMAGE ID", of: ({ image }) => idText(image.Id, whole) },
      { name: "Repository", header: "REPOSITORY", of: ({ repo }) => repo },
      { name: "SharedSize", header: "SHARED SIZE", of: ({ image }) => known(image.SharedSize) },
      { name: "Size", header: "SIZE", of: ({ image }) => humanSize(image.Size, 3) },
      { name: "Tag", header: "TAG", of: ({ tag }) => tag },
      {
        name: "UniqueSize",
        header: "UNIQUE SIZE",
        of: ({ image }) => ((image.SharedSize ?? -1) < 0 ? "N/A" : humanSize(image.Size - image.SharedSize)),
      },
      { name: "VirtualSize", header: "VIRTUAL SIZE", of: ({ image }) => humanSize(image.Size) },
    ],
  };
}

function since(created: number): string {
  return created <= 0 ? "N/A" : `${humanDuration(Date.now() - created * 1000)} ago`;
}
