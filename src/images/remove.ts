import type { ImageDeleteItem } from "../api/types/image.ts";
import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { shortId } from "../base/ids.ts";
import { repositoryOf } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import type { Dropped } from "./catalog.ts";
import { removePlatforms } from "./remove-platforms.ts";
import { resolve } from "./resolve.ts";
import type { ImageRecord, NameRecord } from "./rows.ts";
import { publish, type Workshop } from "./workshop.ts";

export interface RemoveOptions {
  readonly force: boolean;
  /** Parents that nothing names any more go too. */
  readonly prune: boolean;
  /** Only these images of a target with several. */
  readonly platforms?: readonly Platform[] | undefined;
}

/** An image that was deleted, and what went with it. */
export interface Gone extends Dropped {
  readonly id: Digest;
}

/**
 * Docker's rules. A name is untagged; the image goes with its last name. By id it goes with all its names when they are in one
 * repository. Refused ("conflict"): while a running container uses it; and, unless forced, while a stopped one does, or names
 * in several repositories are left. What was removed is listed in Docker's order: names, the image, its layers from the top.
 */
export async function remove(shop: Workshop, text: string, options: RemoveOptions): Promise<ImageDeleteItem[]> {
  return (await removeCounted(shop, text, options)).items;
}

/** The same; and how many bytes the disk gets back. */
export async function removeCounted(
  shop: Workshop,
  text: string,
  options: RemoveOptions,
): Promise<{ readonly items: ImageDeleteItem[]; readonly freed: number }> {
  const resolved = resolve(shop.catalog, text);
  const { record, name } = resolved;
  const { platforms = [] } = options;
  if (platforms.length > 0) {
    const removed = await removePlatforms(shop, resolved, { text, platforms, force: options.force });
    if (removed !== undefined) return removed;
  }
  const items: ImageDeleteItem[] = [];
  const gone =
    name === undefined
      ? removeById(shop, record, options, items)
      : removeByName(shop, { record, name, text }, options, items);
  return { items, freed: await sweepGone(shop, gone, items) };
}

/** Takes what went with the images from the disk, and puts their layers behind them into the list. Returns the bytes freed. */
export async function sweepGone(shop: Workshop, gone: readonly Gone[], items: ImageDeleteItem[]): Promise<number> {
  let freed = 0;
  for (const { id, blobs, images } of gone) {
    const swept = await shop.sweeper.sweep({ blobs, layers: images.flatMap(({ chain }) => chain) });
    const at = items.findIndex(({ Deleted }) => Deleted === id) + 1;
    items.splice(at === 0 ? items.length : at, 0, ...swept.layers.map((chainId) => ({ Deleted: chainId })));
    freed += swept.freed;
  }
  return freed;
}

function removeByName(
  shop: Workshop,
  { record, name, text }: { readonly record: ImageRecord; readonly name: string; readonly text: string },
  options: RemoveOptions,
  items: ImageDeleteItem[],
): Gone[] {
  const { id } = record.image;
  if (!options.force && isOneRepository(shop.catalog.namesOf(id))) {
    const [use] = usesOf(shop, id);
    if (use !== undefined)
      throw new EngineError(
        "conflict",
        `conflict: unable to remove repository reference ${JSON.stringify(text)} (must force) - container ${shortId(use.containerId)} is using its referenced image ${shortId(use.imageId)}`,
      );
  }
  untag(shop, shop.catalog.name(name), items);
  untagLeftDigests(shop, id, name, items);
  if (shop.catalog.namesOf(id).length > 0) return dropNameless(shop, id);
  return deleteImage(shop, id, { ...options, quiet: true }, items);
}

/** Targets that no name leads to any more, while others keep the image; unless a container uses what only they have. */
export function dropNameless(shop: Workshop, id: Digest): Gone[] {
  const { catalog } = shop;
  const nameless = catalog.targetsOf(id).filter((target) => !catalog.isNamed(target));
  if (nameless.length === 0 || usesOf(shop, id).some(({ imageId }) => imageId !== id)) return [];
  return catalog.durable(() =>
    nameless.map(({ descriptor }) => ({ id: descriptor.digest, ...catalog.deleteTarget(descriptor.digest) })),
  );
}

/** When the last tag of a repository went, its digests go too. */
function untagLeftDigests(shop: Workshop, id: Digest, removed: string, items: ImageDeleteItem[]): void {
  if (removed.includes("@")) return;
  const repository = removed.slice(0, removed.lastIndexOf(":"));
  const left = shop.catalog.namesOf(id).filter(({ reference }) => repositoryOf(reference) === repository);
  if (left.some(({ reference }) => reference.digest === undefined)) return;
  for (const name of left) untag(shop, name, items);
}

function removeById(shop: Workshop, record: ImageRecord, options: RemoveOptions, items: ImageDeleteItem[]): Gone[] {
  const { id } = record.image;
  if (shop.catalog.targetsOf(id).length === 0) throw partOfAnother(shop, id);
  const names = shop.catalog.namesOf(id);
  if (isOneRepository(names)) {
    const conflict = conflictOf(shop, id, { soft: !options.force, names: false });
    if (conflict !== undefined) throw conflict.error;
    for (const name of names) untag(shop, name, items);
  }
  return deleteImage(shop, id, { ...options, quiet: false }, items);
}

/** Returns the images that were deleted: this one, then parents that only it needed. */
function deleteImage(
  shop: Workshop,
  id: Digest,
  options: RemoveOptions & { readonly quiet: boolean },
  items: ImageDeleteItem[],
): Gone[] {
  const record = shop.catalog.image(id);
  if (record === undefined || shop.catalog.targetsOf(id).length === 0) return [];
  const conflict = conflictOf(shop, id, { soft: !options.force, names: !options.force });
  if (conflict !== undefined) {
    const isDangling = shop.catalog.namesOf(id).length === 0 && shop.catalog.children(id).length === 0;
    if (options.quiet && (!isDangling || conflict.used)) return [];
    throw conflict.error;
  }
  for (const name of shop.catalog.namesOf(id)) untag(shop, name, items);
  publish(shop, "delete", id, id);
  const gone = { id, ...dropTargets(shop, id) };
  items.push(...gone.images.map(({ image }) => ({ Deleted: image.id })));
  if (!options.prune || record.parent === undefined) return [gone];
  return [gone, ...deleteImage(shop, record.parent, { force: false, prune: true, quiet: true }, items)];
}

function dropTargets({ catalog }: Workshop, id: Digest): Dropped {
  const dropped = catalog.durable(() =>
    catalog.targetsOf(id).map(({ descriptor }) => catalog.deleteTarget(descriptor.digest)),
  );
  return { blobs: dropped.flatMap(({ blobs }) => blobs), images: dropped.flatMap(({ images }) => images) };
}

function partOfAnother({ catalog }: Workshop, id: Digest): EngineError {
  const whole = catalog.targetsWith(id)[0]?.imageId ?? "";
  return new EngineError(
    "conflict",
    `conflict: unable to delete ${shortId(id)} (cannot be forced) - image is a platform of image ${shortId(whole)}`,
    { hint: `remove that one, or this platform of it: gantry rmi --platform OS/ARCH ${shortId(whole)}` },
  );
}

function untag(shop: Workshop, name: NameRecord | undefined, items: ImageDeleteItem[]): void {
  if (name === undefined) return;
  shop.catalog.removeName(name.name);
  publish(shop, "untag", name.imageId, name.imageId);
  items.push({ Untagged: name.familiar });
}

/** One tag, and digests of the same repository only; or digests of one repository. */
function isOneRepository(names: readonly NameRecord[]): boolean {
  const tags = names.filter(({ reference }) => reference.digest === undefined);
  const repositories = new Set(names.map(({ reference }) => repositoryOf(reference)));
  return tags.length <= 1 && repositories.size === 1;
}

interface Conflict {
  readonly error: EngineError;
  /** A container is the reason. */
  readonly used: boolean;
}

function conflictOf(
  shop: Workshop,
  id: Digest,
  check: { readonly soft: boolean; readonly names: boolean },
): Conflict | undefined {
  if (shop.catalog.family(id).some((member) => shop.catalog.children(member).length > 0))
    return conflict(id, "cannot be forced", "image has dependent child images", false);
  const uses = usesOf(shop, id);
  const running = uses.find((use) => use.running);
  if (running !== undefined)
    return conflict(
      id,
      "cannot be forced",
      `image is being used by running container ${shortId(running.containerId)}`,
      true,
    );
  if (check.names && shop.catalog.namesOf(id).length > 0)
    return conflict(id, "must be forced", "image is referenced in multiple repositories", false);
  const [stopped] = uses;
  if (check.soft && stopped !== undefined)
    return conflict(
      id,
      "must be forced",
      `image is being used by stopped container ${shortId(stopped.containerId)}`,
      true,
    );
  return undefined;
}

function conflict(id: Digest, force: string, reason: string, used: boolean): Conflict {
  const error = new EngineError("conflict", `conflict: unable to delete ${shortId(id)} (${force}) - ${reason}`);
  return { error, used };
}

/** Also of the images that come and go with this one. */
function usesOf(shop: Workshop, id: Digest) {
  const family = shop.catalog.family(id);
  return shop.uses().filter(({ imageId }) => family.includes(imageId));
}
