import type { ImageDeleteItem, ImagePruneResult } from "../api/types/image.ts";
import { errorKind } from "../base/errors.ts";
import { booleanFilter, checkFilters, createdAt, createdBetween, matchesLabels } from "./filters.ts";
import type { Filters } from "./images.ts";
import { dropNameless, remove } from "./remove.ts";
import type { ImageRecord } from "./rows.ts";
import type { Workshop } from "./workshop.ts";

const FILTERS = ["dangling", "label", "label!", "until"];

/**
 * Removes dangling images, or with `dangling=false` all that no container uses. What a conflict holds stays, silently.
 * The bytes are what the disk got back: layers and blobs.
 */
export async function prune(shop: Workshop, filters: Filters): Promise<ImagePruneResult> {
  checkFilters(filters, FILTERS);
  const danglingOnly = booleanFilter(filters, "dangling", true);
  const { before } = createdBetween(shop.catalog, { until: filters.until ?? [] }, Date.now());
  const sizeBefore = diskSize(shop);
  const deleted: ImageDeleteItem[] = [];
  for (const record of shop.catalog.shown()) {
    if (isIntermediate(shop, record) || createdAt(record) >= before || !matchesLabels(record, filters)) continue;
    if (shop.catalog.namesOf(record.image.id).length > 0) dropNameless(shop, record.image.id);
    for (const name of removable(shop, record, danglingOnly)) deleted.push(...(await tryRemove(shop, name)));
  }
  await shop.sweeper.sweepAll();
  const reclaimed = Math.max(0, sizeBefore - diskSize(shop));
  shop.events.publish({ type: "image", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  return { ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed };
}

function isIntermediate({ catalog }: Workshop, { image }: ImageRecord): boolean {
  return catalog.namesOf(image.id).length === 0 && catalog.children(image.id).length > 0;
}

/** What to remove so that the image goes: its id when it has no name, else all of its names, or none. */
function removable({ catalog, uses }: Workshop, { image }: ImageRecord, danglingOnly: boolean): string[] {
  const names = catalog.namesOf(image.id);
  if (names.length === 0) return [image.id];
  const isTagged = names.some(({ reference }) => reference.digest === undefined);
  if (danglingOnly && isTagged) return [];
  return uses().some(({ imageId }) => imageId === image.id) ? [] : names.map(({ name }) => name);
}

async function tryRemove(shop: Workshop, name: string): Promise<ImageDeleteItem[]> {
  try {
    return await remove(shop, name, { force: false, prune: true });
  } catch (error) {
    const kind = errorKind(error);
    // "not-found": an earlier name's removal took this one along.
    if (kind === "conflict" || kind === "not-found") return [];
    throw error;
  }
}

/** Bytes of all layers and blobs, each once. */
export function diskSize({ snapshots, content }: Pick<Workshop, "snapshots" | "content">): number {
  let bytes = 0;
  for (const { size } of snapshots.layers()) bytes += size;
  for (const { size } of content.walk()) bytes += size;
  return bytes;
}
