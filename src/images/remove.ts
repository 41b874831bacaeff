import type { ImageDeleteItem } from "../api/types/image.ts";
import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { shortId } from "../base/ids.ts";
import { repositoryOf } from "../oci/reference.ts";
import type { ImageRecord, NameRecord } from "./catalog.ts";
import { resolve } from "./resolve.ts";
import { publish, type Workshop } from "./workshop.ts";

export interface RemoveOptions {
  readonly force: boolean;
  /** Parents that nothing names any more go too. */
  readonly prune: boolean;
}

/**
 * Docker's rules. A name is untagged; the image goes with its last name. By id it goes with all its names when they are in one
 * repository. Refused ("conflict"): while a running container uses it; and, unless forced, while a stopped one does, or names
 * in several repositories are left. What was removed is listed in Docker's order: names, the image, its layers from the top.
 */
export async function remove(shop: Workshop, text: string, options: RemoveOptions): Promise<ImageDeleteItem[]> {
  const { record, name } = resolve(shop.catalog, text);
  const items: ImageDeleteItem[] = [];
  const gone =
    name === undefined
      ? removeById(shop, record, options, items)
      : removeByName(shop, { record, name, text }, options, items);
  for (const image of gone) {
    const { layers } = await shop.sweeper.sweep({ blobs: image.blobs, layers: image.chain });
    const at = items.findIndex(({ Deleted }) => Deleted === image.image.id) + 1;
    items.splice(at, 0, ...layers.map((chainId) => ({ Deleted: chainId })));
  }
  return items;
}

function removeByName(
  shop: Workshop,
  { record, name, text }: { readonly record: ImageRecord; readonly name: string; readonly text: string },
  options: RemoveOptions,
  items: ImageDeleteItem[],
): ImageRecord[] {
  const { id } = record.image;
  if (!options.force && isOneRepository(shop.catalog.namesOf(id))) {
    const [use] = usesOf(shop, id);
    if (use !== undefined)
      throw new EngineError(
        "conflict",
        `conflict: unable to remove repository reference ${JSON.stringify(text)} (must force) - container ${shortId(use.containerId)} is using its referenced image ${shortId(id)}`,
      );
  }
  untag(shop, shop.catalog.name(name), items);
  untagLeftDigests(shop, id, name, items);
  if (shop.catalog.namesOf(id).length > 0) return [];
  return deleteImage(shop, id, { ...options, quiet: true }, items);
}

/** When the last tag of a repository went, its digests go too. */
function untagLeftDigests(shop: Workshop, id: Digest, removed: string, items: ImageDeleteItem[]): void {
  if (removed.includes("@")) return;
  const repository = removed.slice(0, removed.lastIndexOf(":"));
  const left = shop.catalog.namesOf(id).filter(({ reference }) => repositoryOf(reference) === repository);
  if (left.some(({ reference }) => reference.digest === undefined)) return;
  for (const name of left) untag(shop, name, items);
}

function removeById(
  shop: Workshop,
  record: ImageRecord,
  options: RemoveOptions,
  items: ImageDeleteItem[],
): ImageRecord[] {
  const { id } = record.image;
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
): ImageRecord[] {
  const record = shop.catalog.image(id);
  if (record === undefined) return [];
  const conflict = conflictOf(shop, id, { soft: !options.force, names: !options.force });
  if (conflict !== undefined) {
    const isDangling = shop.catalog.namesOf(id).length === 0 && shop.catalog.children(id).length === 0;
    if (options.quiet && (!isDangling || conflict.used)) return [];
    throw conflict.error;
  }
  for (const name of shop.catalog.namesOf(id)) untag(shop, name, items);
  publish(shop, "delete", id, id);
  shop.catalog.durable(() => shop.catalog.deleteImage(id));
  items.push({ Deleted: id });
  if (!options.prune || record.parent === undefined) return [record];
  return [record, ...deleteImage(shop, record.parent, { force: false, prune: true, quiet: true }, items)];
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
  if (shop.catalog.children(id).length > 0)
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

function usesOf(shop: Workshop, id: Digest) {
  return shop.uses().filter(({ imageId }) => imageId === id);
}
