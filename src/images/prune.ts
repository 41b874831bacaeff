import type { ImageDeleteItem, ImagePruneResult } from "../api/types/image.ts";
import { parseDuration } from "../base/durations.ts";
import { EngineError, errorKind } from "../base/errors.ts";
import { parseSize } from "../base/sizes.ts";
import { booleanFilter, checkFilters, createdAt, createdBetween, matchesLabels } from "./filters.ts";
import type { Filters } from "./images.ts";
import { dropNameless, removeCounted, sweepGone } from "./remove.ts";
import type { ImageRecord } from "./rows.ts";
import type { Workshop } from "./workshop.ts";

const FILTERS = ["dangling", "label", "label!", "until", "unused-for", "keep"];

/**
 * Removes dangling images, or with `dangling=false` all that no container uses. `unused-for` (a duration, "7d") and `keep` (an amount,
 * "20GB") are Gantry's own, and mean named images too: what was not used for so long; and the longest unused first, only until all
 * images together take no more of the disk. What a conflict holds stays, silently. Downloads that broke off go too. Post-condition: the bytes told are back on the disk.
 */
export async function prune(shop: Workshop, filters: Filters): Promise<ImagePruneResult> {
  const wish = readWish(shop, filters);
  await shop.snapshots.measured();
  const swept = (await shop.sweeper.sweepAll()).freed + (await shop.content.discardUnfinished());
  const { items, freed } = await removeAll(shop, candidates(shop, wish, filters), wish);
  await shop.snapshots.removed();
  const reclaimed = swept + freed;
  shop.events.publish({ type: "image", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  return { ImagesDeleted: items.length === 0 ? null : items, SpaceReclaimed: reclaimed };
}

interface Removed {
  readonly items: ImageDeleteItem[];
  /** Bytes on the disk. */
  freed: number;
}

/** Until the wish is met, or nothing more goes: an image that others were made of goes when they have gone. */
async function removeAll(shop: Workshop, records: readonly ImageRecord[], wish: Wish): Promise<Removed> {
  const all: Removed = { items: [], freed: 0 };
  let left = records;
  for (let before = -1; before !== all.items.length; ) {
    before = all.items.length;
    for (const record of left) {
      if (wish.keep !== undefined && shop.sizes.all(shop.catalog) <= wish.keep) return all;
      const { items, freed } = await removeOne(shop, record, wish);
      all.items.push(...items);
      all.freed += freed;
    }
    left = left.filter(({ image }) => shop.catalog.targetsOf(image.id).length > 0);
  }
  return all;
}

async function removeOne(shop: Workshop, record: ImageRecord, { danglingOnly }: Wish): Promise<Removed> {
  const removed: Removed = { items: [], freed: 0 };
  if (shop.catalog.namesOf(record.image.id).length > 0)
    removed.freed += await sweepGone(shop, dropNameless(shop, record.image.id), []);
  for (const name of removable(shop, record, danglingOnly)) {
    const { items, freed } = await tryRemove(shop, name);
    removed.items.push(...items);
    removed.freed += freed;
  }
  return removed;
}

interface Wish {
  readonly danglingOnly: boolean;
  /** Milliseconds since the epoch: what was made, and what was used, from then on stays. */
  readonly createdBefore: number;
  readonly usedBefore: number;
  /** Bytes. */
  readonly keep: number | undefined;
}

function readWish(shop: Workshop, filters: Filters): Wish {
  checkFilters(filters, FILTERS);
  const now = Date.now();
  const keep = one(filters, "keep", parseSize);
  const unused = one(filters, "unused-for", parseUnused);
  return {
    danglingOnly: booleanFilter(filters, "dangling", keep === undefined && unused === undefined),
    createdBefore: createdBetween(shop.catalog, { until: filters.until ?? [] }, now).before,
    usedBefore: unused === undefined ? Number.POSITIVE_INFINITY : now - unused,
    keep,
  };
}

function one(filters: Filters, name: string, parse: (text: string) => number | undefined): number | undefined {
  const [text, ...others] = filters[name] ?? [];
  if (text === undefined) return undefined;
  const value = others.length === 0 ? parse(text) : undefined;
  if (value === undefined || value < 0)
    throw new EngineError("invalid", `invalid filter '${name}=${[text, ...others].join(",")}'`, {
      hint: name === "keep" ? "give one amount, such as 20GB" : "give one duration, such as 7d, 12h or 1d12h",
    });
  return value;
}

/** Milliseconds; days and weeks before Go's units. */
function parseUnused(text: string): number | undefined {
  const match = /^(?:(\d+)w)?(?:(\d+)d)?(.*)$/.exec(text);
  const [, weeks, days, rest = ""] = match ?? [];
  const hasDays = weeks !== undefined || days !== undefined;
  const duration = rest === "" && hasDays ? 0 : parseDuration(rest);
  return duration === undefined
    ? undefined
    : (Number(weeks ?? 0) * 7 + Number(days ?? 0)) * 86_400_000 + duration / 1e6;
}

/** The longest unused first, and of those that were used at the same time what was made of another first. */
function candidates(shop: Workshop, { createdBefore, usedBefore }: Wish, filters: Filters): ImageRecord[] {
  return shop.catalog
    .shown()
    .filter(
      (record) =>
        !isIntermediate(shop, record) &&
        createdAt(record) < createdBefore &&
        lastUse(shop, record) < usedBefore &&
        matchesLabels(record, filters),
    )
    .sort((a, b) => lastUse(shop, a) - lastUse(shop, b));
}

/** Milliseconds since the epoch: when it came, was named, or was used, whichever was last; any platform of it. */
function lastUse({ catalog }: Workshop, { image }: ImageRecord): number {
  const records = catalog.family(image.id).flatMap((id) => catalog.image(id) ?? []);
  const times = records.flatMap(({ addedAt, taggedAt, usedAt }) => [addedAt, taggedAt ?? "", usedAt ?? ""]);
  return Math.max(0, ...times.map((time) => Date.parse(time)).filter((time) => !Number.isNaN(time)));
}

function isIntermediate({ catalog }: Workshop, { image }: ImageRecord): boolean {
  return catalog.namesOf(image.id).length === 0 && catalog.children(image.id).length > 0;
}

/** What to remove so that the image goes: its id when it has no name, else all of its names, or none. */
function removable({ catalog, uses }: Workshop, { image }: ImageRecord, danglingOnly: boolean): string[] {
  const names = catalog.namesOf(image.id);
  const family = catalog.family(image.id);
  if (uses().some(({ imageId }) => family.includes(imageId))) return [];
  if (names.length === 0) return [image.id];
  const isTagged = names.some(({ reference }) => reference.digest === undefined);
  return danglingOnly && isTagged ? [] : names.map(({ name }) => name);
}

async function tryRemove(shop: Workshop, name: string): Promise<Removed> {
  try {
    return await removeCounted(shop, name, { force: false, prune: true });
  } catch (error) {
    const kind = errorKind(error);
    // "not-found": an earlier name's removal took this one along.
    if (kind === "conflict" || kind === "not-found") return { items: [], freed: 0 };
    throw error;
  }
}
