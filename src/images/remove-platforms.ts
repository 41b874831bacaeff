import type { ImageDeleteItem } from "../api/types/image.ts";
import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { shortId } from "../base/ids.ts";
import type { Platform } from "../oci/types.ts";
import type { Part, Target } from "./images.ts";
import { type Resolved, resolve } from "./resolve.ts";
import { bestImage } from "./target.ts";
import type { Workshop } from "./workshop.ts";

interface PlatformsToRemove {
  readonly text: string;
  readonly platforms: readonly Platform[];
  readonly force: boolean;
}

/**
 * Removes images of some platforms, with what is about them; the target stays, and says that they are not here. Undefined when
 * nothing would be left: then the whole is to be removed. "not-found" when the target lacks one of them; "conflict" when a running
 * container uses one or, unless forced, a stopped one.
 */
export async function removePlatforms(
  shop: Workshop,
  { target, record }: Resolved,
  { text, platforms, force }: PlatformsToRemove,
): Promise<{ readonly items: ImageDeleteItem[]; readonly freed: number } | undefined> {
  const { catalog } = shop;
  const ids = new Set(platforms.map((platform) => resolve(catalog, text, platform).record.image.id));
  if (catalog.targetsOf(record.image.id).length === 0) return undefined;
  const manifests = target.parts.filter(({ image }) => image !== undefined && ids.has(image));
  const left = withoutParts(target, new Set(manifests.map(({ descriptor }) => descriptor.digest)));
  const imageId = bestImage(left);
  if (imageId === undefined) return undefined;
  for (const id of ids) checkUnused(shop, id, force);
  const chains = [...ids].flatMap((id) => catalog.image(id)?.chain ?? []);
  const blobs = target.parts.flatMap((part) => part.blobs);
  catalog.durable(() => catalog.addTarget({ ...target, imageId, parts: left }));
  const { layers, freed } = await shop.sweeper.sweep({ blobs, layers: chains });
  const gone = [...manifests.map(({ descriptor }) => descriptor.digest), ...layers];
  return { items: gone.map((digest) => ({ Deleted: digest })), freed };
}

function withoutParts({ parts }: Target, manifests: ReadonlySet<Digest>): Part[] {
  return parts.map((part) => {
    const goes = manifests.has(part.descriptor.digest) || (part.for !== undefined && manifests.has(part.for));
    if (!goes) return part;
    const { image: _, ...rest } = part;
    return { ...rest, available: false, blobs: [] };
  });
}

function checkUnused(shop: Workshop, id: Digest, force: boolean): void {
  const uses = shop.uses().filter(({ imageId }) => imageId === id);
  const use = uses.find(({ running }) => running) ?? (force ? undefined : uses[0]);
  if (use === undefined) return;
  const [how, what] = use.running ? ["cannot be forced", "running"] : ["must be forced", "stopped"];
  throw new EngineError(
    "conflict",
    `conflict: unable to delete ${shortId(id)} (${how}) - image is being used by ${what} container ${shortId(use.containerId)}`,
  );
}
