/** Which of an index's manifests is pulled. */
import { EngineError } from "../base/errors.ts";
import { formatPlatform, HOST_PLATFORM, platformMatches, platformRank } from "../oci/platform.ts";
import type { Descriptor, Platform } from "../oci/types.ts";

/** Attestations and the like stand beside the images of an index, for no platform. */
export function isAside({ platform, annotations }: Descriptor): boolean {
  return annotations?.["vnd.docker.reference.type"] !== undefined || platform?.os === "unknown";
}

/** The one that suits best. "not-found" when none does; with `orAny` the first image then, or whatever there is. */
export function bestChild(
  manifests: readonly Descriptor[],
  wanted: Platform | undefined,
  { orAny }: { readonly orAny: boolean },
): Descriptor {
  const images = manifests.filter((manifest) => !isAside(manifest));
  const best = images
    .filter(({ platform }) => platform === undefined || wanted === undefined || platformMatches(wanted, platform))
    .map((image) => ({ image, rank: platformRank(wanted ?? HOST_PLATFORM, image.platform ?? HOST_PLATFORM) }))
    .filter(({ rank }) => rank > 0)
    .sort((a, b) => b.rank - a.rank)[0]?.image;
  const any = orAny ? (images[0] ?? manifests[0]) : undefined;
  const found = best ?? any;
  if (found !== undefined) return found;
  const there = [...new Set(images.map(({ platform }) => (platform ? formatPlatform(platform) : "unknown")))];
  throw new EngineError(
    "not-found",
    `no matching manifest for ${formatPlatform(wanted ?? HOST_PLATFORM)} in the manifest list entries`,
    { hint: there.length > 0 ? `There is: ${there.join(", ")}. Choose one by --platform.` : undefined },
  );
}
