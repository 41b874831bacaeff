/** Images as an output wants them: other layers' bytes, other media types, annotations. The configuration, and so the id, stays. */
import { digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { MEDIA } from "../../oci/media-types.ts";
import { platformMatches } from "../../oci/platform.ts";
import type { Descriptor } from "../../oci/types.ts";
import { LIMITS } from "../../oci/validate.ts";
import { indexOf } from "../build/image.ts";
import type { BuiltImage } from "../builder.ts";
import { type Recompressing, recompress } from "./recompress.ts";
import type { Annotation, ImageWish } from "./wish.ts";

export interface Dressed {
  readonly images: readonly BuiltImage[];
  /** The manifest's, or the index's when there are several images. */
  readonly target: Descriptor;
  readonly index: Buffer | undefined;
}

/** As they are. */
export function undressed(images: readonly BuiltImage[]): Dressed {
  const index = images.length > 1 ? indexOf(images) : undefined;
  return { images, target: index?.descriptor ?? (images[0] as BuiltImage).manifest, index: index?.bytes };
}

/** Post-condition: content has the layers, held by the lease; manifests and index are for the caller to store. "invalid" for annotations that have no place. */
export async function dress(
  parts: Recompressing,
  images: readonly BuiltImage[],
  wish: ImageWish | undefined,
): Promise<Dressed> {
  refuseDeep(images);
  if (wish === undefined) return undressed(images);
  refuseIndexless(images.length, wish);
  const dressed: BuiltImage[] = [];
  // One after another: each compression keeps all processors busy.
  for (const image of images) dressed.push(await dressImage(parts, image, wish));
  if (dressed.length === 1) return undressed(dressed);
  const annotations = annotationsFor(wish, "index");
  const mediaType = wish.oci ? MEDIA.ociIndex : MEDIA.dockerList;
  const { bytes, descriptor } = indexOf(dressed, { mediaType, annotations });
  const own = annotationsFor(wish, "index-descriptor");
  return {
    images: dressed,
    target: own === undefined ? descriptor : { ...descriptor, annotations: own },
    index: bytes,
  };
}

/** In Docker's words: readers of images take no more. */
function refuseDeep(images: readonly BuiltImage[]): void {
  const most = Math.max(...images.map(({ layers }) => layers.length));
  if (most <= LIMITS.layers) return;
  throw new EngineError(
    "invalid",
    `max depth exceeded: the image has ${most} layers, at most ${LIMITS.layers} can be`,
    {
      hint: "Put commands together into one RUN and files into one COPY, copy from a stage, or build with --squash.",
    },
  );
}

/** One image has no index. */
export function refuseIndexless(images: number, { annotations }: ImageWish): void {
  if (images > 1 || annotations.every(({ place }) => !place.startsWith("index"))) return;
  throw new EngineError("invalid", "index annotations not supported for single platform export", {
    hint: "Annotate the manifest, or build for several platforms.",
  });
}

async function dressImage(parts: Recompressing, image: BuiltImage, wish: ImageWish): Promise<BuiltImage> {
  const layers: Descriptor[] = [];
  for (const layer of image.layers) layers.push(await recompress(parts, layer, wish));
  const annotations = annotationsFor(wish, "manifest", image);
  const mediaType = wish.oci ? MEDIA.ociManifest : MEDIA.dockerManifest;
  const config = { mediaType: wish.oci ? MEDIA.ociConfig : MEDIA.dockerConfig, digest: image.id };
  const manifestBytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: { ...config, size: image.configBytes.length },
      layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
      annotations,
    }),
  );
  const own = annotationsFor(wish, "manifest-descriptor", image);
  const manifest = {
    mediaType,
    digest: digestOf(manifestBytes),
    size: manifestBytes.length,
    ...(own !== undefined && { annotations: own }),
  };
  return Object.freeze({ ...image, layers, manifest, manifestBytes });
}

/** Those of this place, later ones over earlier; undefined when there are none. */
function annotationsFor(
  { annotations }: ImageWish,
  place: Annotation["place"],
  image?: BuiltImage,
): Readonly<Record<string, string>> | undefined {
  const own = annotations.filter(
    (one) =>
      one.place === place &&
      (one.platform === undefined || (image !== undefined && platformMatches(one.platform, image.platform))),
  );
  if (own.length === 0) return undefined;
  // A platform's own goes over what all have.
  const sorted = [...own.filter(({ platform }) => platform === undefined), ...own.filter(({ platform }) => platform)];
  return Object.fromEntries(sorted.map(({ key, value }) => [key, value]));
}
