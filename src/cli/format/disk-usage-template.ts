/** `system df -v --format`: all objects at once, as the rows that their own lists have. */
import type { BuildCache } from "../../api/types/image.ts";
import type { DiskUsage } from "../../api/types/system.ts";
import { goJson } from "../../base/template/json.ts";
import { imageListing, imageRow } from "../commands/images.ts";
import { containerListing } from "../commands/ps.ts";
import { VOLUME_LISTING } from "../commands/volume-ls.ts";
import type { Context } from "../context.ts";
import type { Listing } from "./listing.ts";
import { compiled, guarded, rowValues } from "./rows-template.ts";
import { humanSize } from "./sizes.ts";

export function printDiskUsageTemplate(context: Context, usage: DiskUsage, format: string): void {
  const value = {
    Images: rows(imageListing(true, false), (usage.Images ?? []).map(imageRow)),
    Containers: rows(
      containerListing(true, true),
      (usage.Containers ?? []).map((container) => ({ ...container, SizeRootFs: undefined })),
    ),
    Volumes: rows(VOLUME_LISTING, usage.Volumes ?? []),
    BuildCache: rows(CACHE_LISTING, usage.BuildCache ?? []),
  };
  if (format === "json") {
    const members = Object.entries(value).map(([name, list]) => `"${name}":${goJson(list, { html: true })}`);
    context.out.write(`{${members.join()}}`);
    return;
  }
  const template = compiled(format);
  const run = () => template.run(value, { missingKey: "no-value", rootType: "*formatter.diskUsageContext" });
  context.out.write(guarded(run, ""));
}

function rows<T>(listing: Listing<T>, items: readonly T[]): Record<string, string>[] {
  return items.map((item) => rowValues(listing, item));
}

const CACHE_LISTING: Listing<BuildCache> = {
  type: "*formatter.buildCacheContext",
  shown: [],
  columns: [
    { name: "CacheType", header: "CACHE TYPE", of: ({ Type = "" }) => Type },
    { name: "CreatedSince", header: "CREATED", of: ({ CreatedAt = "" }) => CreatedAt },
    { name: "Description", header: "DESCRIPTION", of: ({ Description = "" }) => Description },
    { name: "ID", header: "CACHE ID", of: ({ ID = "" }) => ID },
    { name: "InUse", header: "IN USE", of: ({ InUse = false }) => String(InUse) },
    { name: "LastUsedSince", header: "LAST USED", of: ({ LastUsedAt }) => LastUsedAt ?? "" },
    { name: "Parent", header: "PARENT", of: ({ Parents }) => (Parents ?? []).join(", ") },
    { name: "Shared", header: "SHARED", of: ({ Shared = false }) => String(Shared) },
    { name: "Size", header: "SIZE", of: ({ Size = 0 }) => humanSize(Size, 3) },
    { name: "UsageCount", header: "USAGE", of: ({ UsageCount = 0 }) => String(UsageCount) },
  ],
};
