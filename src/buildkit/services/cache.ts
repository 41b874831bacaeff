/** The build cache as `buildx du` and `buildx prune` see it. */
import type { BuildCache } from "../../api/types/image.ts";
import { EngineError } from "../../base/errors.ts";
import type { Builder } from "../../builder/builder.ts";
import type { MessageOf, PartOf } from "../protobuf/message.ts";
import { type PruneRequest, timestamp, type UsageRecord } from "../wire/control.ts";

type Shown = PartOf<typeof UsageRecord>;

export const usage = (builder: Builder, filter: readonly string[]): Shown[] => {
  const wanted = idsOf(filter);
  return builder
    .diskUsage()
    .filter(({ ID, Type }) => (wanted.id ?? ID) === ID && (wanted.type ?? Type) === Type)
    .map(shownRecord);
};

function idsOf(filter: readonly string[]): { readonly id?: string | undefined; readonly type?: string | undefined } {
  const { id, type } = filtersOf(filter);
  return { id: id?.[0], type: type?.[0] };
}

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
  const { all, filter, keepDuration, reservedSpace, maxUsedSpace } = request;
  const before = new Map(builder.diskUsage().map((record) => [record.ID, record]));
  const until = keepDuration > 0n ? { until: [`${keepDuration / 1_000_000n}ms`] } : {};
  const keepStorage = reservedSpace || maxUsedSpace || undefined;
  const { deleted } = await builder.prune({ all, keepStorage, filters: { ...filtersOf(filter), ...until } });
  for (const id of deleted) {
    const record = before.get(id);
    if (record !== undefined) yield shownRecord(record);
  }
}

/** "type==exec.cachemount", "id=abc", "until=24h". */
function filtersOf(filter: readonly string[]): Record<string, string[]> {
  const filters: Record<string, string[]> = {};
  for (const text of filter.flatMap((one) => one.split(",")).filter((one) => one !== "")) {
    const [, name = "", value = ""] = /^([a-z]+)(?:={1,2}|~=)(.*)$/i.exec(text) ?? [];
    if (name === "")
      throw new EngineError("invalid", `invalid filter ${JSON.stringify(text)}`, { hint: "Filters are NAME=VALUE." });
    filters[name] = [...(filters[name] ?? []), value];
  }
  return filters;
}
