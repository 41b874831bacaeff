/** The build cache as `buildx du` and `buildx prune` see it. */
import type { BuildCache } from "../../api/types/image.ts";
import { EngineError } from "../../base/errors.ts";
import type { Builder } from "../../builder/builder.ts";
import type { MessageOf, PartOf } from "../protobuf/message.ts";
import { type PruneRequest, timestamp, type UsageRecord } from "../wire/control.ts";

type Shown = PartOf<typeof UsageRecord>;

export const usage = (builder: Builder, filter: readonly string[]): Shown[] => {
  const { id, type, ...others } = filtersOf(filter);
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw new EngineError("not-implemented", `the cache is not shown by ${JSON.stringify(other)}`, {
      hint: "There are id and type.",
    });
  return builder
    .diskUsage()
    .filter(({ ID = "", Type = "" }) => (id?.includes(ID) ?? true) && (type?.includes(Type) ?? true))
    .map(shownRecord);
};

function shownRecord(record: BuildCache): Shown {
  const { ID, Type, Description, InUse, Shared, Size, CreatedAt, LastUsedAt, UsageCount, Parents } = record;
  return {
    id: ID,
    recordType: Type,
    description: Description,
    inUse: InUse,
    shared: Shared,
    size: Size,
    createdAt: timestamp(Date.parse(CreatedAt ?? "")),
    ...(LastUsedAt ? { lastUsedAt: timestamp(Date.parse(LastUsedAt)) } : {}),
    usageCount: UsageCount,
    mutable: Type === "exec.cachemount",
    parents: Parents ?? [],
  };
}

/** Removes, then tells what is gone. */
export async function* pruned(builder: Builder, request: MessageOf<typeof PruneRequest>): AsyncGenerator<Shown> {
  const { all, filter, keepDuration, reservedSpace, maxUsedSpace, minFreeSpace } = request;
  const before = new Map(builder.diskUsage().map((record) => [record.ID, record]));
  const until = keepDuration > 0n ? { until: [`${keepDuration / 1_000_000n}ms`] } : {};
  const limits = { keepStorage: reservedSpace, maxUsedSpace, minFreeSpace };
  const { deleted } = await builder.prune({ all, ...limits, filters: { ...filtersOf(filter), ...until } });
  for (const id of deleted) {
    const record = before.get(id);
    if (record !== undefined) yield shownRecord(record);
  }
}

/** "type==exec.cachemount", "id=abc", "until=24h". */
function filtersOf(filter: readonly string[]): Record<string, string[]> {
  const filters: Record<string, string[]> = {};
  for (const text of filter.flatMap((one) => one.split(",")).filter((one) => one !== "")) {
    const [, name = "", value = ""] = /^([a-z-]+)={1,2}(.*)$/i.exec(text) ?? [];
    if (name === "")
      throw new EngineError("invalid", `invalid filter ${JSON.stringify(text)}`, {
        hint: "Filters are NAME=VALUE; description=TEXT finds the text anywhere in it.",
      });
    filters[name] = [...(filters[name] ?? []), value];
  }
  return filters;
}
