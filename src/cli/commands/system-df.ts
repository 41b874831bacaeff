/** `gantry system df`. */
import type { DiskUsage } from "../../api/types/system.ts";
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { FORMAT_FLAG, type Listing, printListing } from "../format/listing.ts";
import { humanSize } from "../format/sizes.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [FORMAT_FLAG, { name: "verbose", short: "v", type: "bool", help: "Show each object" }],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const usage = await context.client.system.diskUsage();
    const format = flags.text("format");
    if (!flags.bool("verbose")) await printListing(context, LISTING, rowsOf(usage), { format });
    else if (format === "" || format === "table")
      (await import("../format/disk-usage.ts")).printDiskUsage(context, usage);
    else (await import("../format/disk-usage-template.ts")).printDiskUsageTemplate(context, usage, format);
    return 0;
  },
};

interface Row {
  readonly type: string;
  readonly total: number;
  readonly active: number;
  readonly size: number;
  readonly reclaimable: number;
  readonly percent: boolean;
}

const LISTING: Listing<Row> = {
  type: "*formatter.diskUsageContext",
  shown: ["Type", "TotalCount", "Active", "Size", "Reclaimable"],
  columns: [
    { name: "Active", header: "ACTIVE", of: ({ active }) => String(active) },
    { name: "Reclaimable", header: "RECLAIMABLE", of: reclaimableText },
    { name: "Size", header: "SIZE", of: ({ size }) => humanSize(size) },
    { name: "TotalCount", header: "TOTAL", of: ({ total }) => String(total) },
    { name: "Type", header: "TYPE", of: ({ type }) => type },
  ],
};

function reclaimableText({ size, reclaimable, percent }: Row): string {
  const text = humanSize(reclaimable);
  return percent && size > 0 ? `${text} (${Math.trunc((reclaimable * 100) / size)}%)` : text;
}

const LIVE = new Set(["running", "paused", "restarting"]);
const sum = (numbers: readonly (number | null | undefined)[]) =>
  numbers.reduce<number>((all, one) => all + Math.max(one ?? 0, 0), 0);

function rowsOf(usage: DiskUsage): Row[] {
  const [images, containers] = [usage.Images ?? [], usage.Containers ?? []];
  const [volumes, caches] = [usage.Volumes ?? [], usage.BuildCache ?? []];
  const usedImages = images.filter(({ Containers }) => Containers > 0);
  const used = sum(usedImages.map(({ Size, SharedSize }) => (SharedSize < 0 ? 0 : Size - SharedSize)));
  const idle = containers.filter(({ State }) => !LIVE.has(State));
  const unused = volumes.filter(({ UsageData }) => (UsageData?.RefCount ?? 0) === 0);
  const freeCaches = caches.filter(({ InUse, Shared }) => !InUse && !Shared);
  return [
    {
      type: "Images",
      total: images.length,
      active: usedImages.length,
      size: usage.LayersSize,
      reclaimable: Math.max(0, usage.LayersSize - used),
      percent: true,
    },
    {
      type: "Containers",
      total: containers.length,
      active: containers.length - idle.length,
      size: sum(containers.map(({ SizeRw }) => SizeRw)),
      reclaimable: sum(idle.map(({ SizeRw }) => SizeRw)),
      percent: true,
    },
    {
      type: "Local Volumes",
      total: volumes.length,
      active: volumes.length - unused.length,
      size: sum(volumes.map(({ UsageData }) => UsageData?.Size)),
      reclaimable: sum(unused.map(({ UsageData }) => UsageData?.Size)),
      percent: true,
    },
    {
      type: "Build Cache",
      total: caches.length,
      active: caches.filter(({ InUse }) => InUse).length,
      size: sum(caches.filter(({ Shared }) => !Shared).map(({ Size }) => Size)),
      reclaimable: sum(freeCaches.map(({ Size }) => Size)),
      percent: false,
    },
    ...registryRow(usage),
  ];
}

/** What of it is free is the registry's own to say: `gantry registry gc --dry-run`. */
function registryRow({ Registry }: DiskUsage): Row[] {
  if (Registry === undefined) return [];
  const { Repositories: total, Size: size } = Registry;
  return [{ type: "Registry", total, active: total, size, reclaimable: 0, percent: false }];
}
