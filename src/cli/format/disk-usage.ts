/** `system df -v`: a table for each kind of object. */
import type { DiskUsage } from "../../api/types/system.ts";
import { humanDuration } from "../../base/human-duration.ts";
import type { Context } from "../context.ts";
import { humanSize } from "./sizes.ts";
import { alignCells } from "./tabwriter.ts";
import { ellipsis, idText } from "./text.ts";

const ago = (seconds: number) => (seconds <= 0 ? "N/A" : `${humanDuration(Date.now() - seconds * 1000)} ago`);
const agoText = (time: string | null | undefined) => (time ? ago(Date.parse(time) / 1000) : "");

export function printDiskUsage(context: Context, usage: DiskUsage): void {
  const cache = (usage.BuildCache ?? []).filter(({ Shared }) => !Shared);
  const cacheSize = cache.reduce((all, { Size = 0 }) => all + Size, 0);
  const sections = [
    ["Images space usage:", images(usage)],
    ["Containers space usage:", containers(usage)],
    ["Local Volumes space usage:", volumes(usage)],
    [`Build cache usage: ${humanSize(cacheSize)}`, caches(usage)],
  ] as const;
  context.out.write(sections.map(([title, rows]) => `${title}\n\n${alignCells(rows)}`).join("\n"));
  if (usage.Registry === undefined) return;
  const { Repositories, Size } = usage.Registry;
  const things = Repositories === 1 ? "repository" : "repositories";
  context.out.write(
    `\nRegistry space usage: ${humanSize(Size)} in ${Repositories} ${things}, beside what it shares with images\n`,
  );
}

function images({ Images }: DiskUsage): string[][] {
  const header = ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"];
  const rows = (Images ?? []).map((image) => {
    const name = image.RepoTags?.[0] ?? "<none>:<none>";
    const colon = name.lastIndexOf(":");
    const shared = Math.max(0, image.SharedSize);
    return [
      name.slice(0, colon),
      name.slice(colon + 1),
      idText(image.Id, false),
      ago(image.Created),
      humanSize(image.Size, 3),
      humanSize(shared),
      humanSize(image.Size - shared),
      String(image.Containers),
    ];
  });
  return [header, ...rows];
}

const MAX_COMMAND = 20;

function containers({ Containers }: DiskUsage): string[][] {
  const header = ["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"];
  const rows = (Containers ?? []).map((container) => [
    idText(container.Id, false),
    container.Image,
    JSON.stringify(ellipsis(container.Command, MAX_COMMAND)),
    String((container.Mounts ?? []).filter(({ Driver }) => Driver === "local").length),
    humanSize(container.SizeRw ?? 0, 3),
    ago(container.Created),
    container.Status,
    (container.Names ?? []).map((name) => name.replace(/^\//, "")).join(","),
  ]);
  return [header, ...rows];
}

function volumes({ Volumes }: DiskUsage): string[][] {
  const rows = (Volumes ?? []).map(({ Name, UsageData }) => [
    Name,
    UsageData ? String(UsageData.RefCount) : "N/A",
    UsageData ? humanSize(UsageData.Size ?? 0) : "N/A",
  ]);
  return [["VOLUME NAME", "LINKS", "SIZE"], ...rows];
}

function caches({ BuildCache }: DiskUsage): string[][] {
  const rows = (BuildCache ?? []).map((cache) => [
    (cache.ID ?? "").slice(0, 12),
    cache.Type ?? "",
    humanSize(cache.Size ?? 0, 3),
    agoText(cache.CreatedAt),
    agoText(cache.LastUsedAt),
    String(cache.UsageCount ?? 0),
    String(cache.Shared ?? false),
  ]);
  return [["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"], ...rows];
}
