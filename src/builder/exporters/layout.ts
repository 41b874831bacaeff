/** Images as an archive of an OCI layout, and of Docker's format with it. */
import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { TarWriter } from "../../base/tar/writer.ts";
import { familiarName, normalisedName, parseReference, withDefaultTag } from "../../oci/reference.ts";
import type { Descriptor } from "../../oci/types.ts";
import type { BuiltImage, ExportInput } from "../builder.ts";
import type { Dressed } from "./dress.ts";
import type { Sink } from "./exporters.ts";
import { sending } from "./sending.ts";
import type { ImageWish } from "./wish.ts";

export interface LayoutOptions {
  readonly input: ExportInput;
  readonly sink: Sink;
  /** In place of the build's tags. */
  readonly names: readonly string[];
  readonly wish: ImageWish | undefined;
  /** With Docker's manifest.json; one image only. */
  readonly docker: boolean;
  /** It becomes a folder as it comes: what names the blobs is there when they are. */
  readonly unpacked: boolean;
}

/** Post-condition: the sink has the whole archive. Returns what `--metadata-file` says of it. */
export async function writeLayout(options: LayoutOptions): Promise<Record<string, unknown>> {
  const { input, sink, names, docker, unpacked, wish } = options;
  if (docker && input.result.images.length > 1)
    throw new EngineError("not-implemented", "the docker output holds one platform, and this build has several", {
      hint: "Use --output type=oci, or one --platform.",
    });
  const dressed = await input.dress(wish);
  const { images, target } = dressed;
  const [first] = images;
  const tags = (names.length > 0 ? names : input.tags).map((name) => withDefaultTag(parseReference(name)));
  const writer = new TarWriter();
  await sending(
    writer,
    input.signal,
    (stream) => sink(stream, input.signal),
    async () => {
      const index = async () => {
        await writer.add({ path: "index.json" }, JSON.stringify(layoutIndex(dressed, tags)));
        if (docker && first !== undefined)
          await writer.add({ path: "manifest.json" }, JSON.stringify([dockerEntry(first, tags.map(familiarName))]));
      };
      await writer.add({ path: "oci-layout" }, '{"imageLayoutVersion":"1.0.0"}');
      if (!unpacked) await index();
      await writer.add({ path: "blobs/", type: "directory" });
      await writer.add({ path: "blobs/sha256/", type: "directory" });
      await addBlobs(writer, input, dressed);
      if (unpacked) await index();
      await writer.finish();
    },
  );
  return {
    "containerimage.digest": target.digest,
    "containerimage.descriptor": target,
    ...(first === undefined ? {} : { "containerimage.config.digest": first.id }),
    ...(tags.length === 0 ? {} : { "image.name": tags.map(normalisedName).join(",") }),
  };
}

async function addBlobs(writer: TarWriter, input: ExportInput, { images, target, index }: Dressed): Promise<void> {
  const added = new Set<Digest>();
  const once = async (digest: Digest, size: number, body: () => Uint8Array | ReturnType<ExportInput["layer"]>) => {
    if (added.has(digest)) return;
    added.add(digest);
    await writer.add({ path: `blobs/${digest.replace(":", "/")}`, size }, body());
  };
  for (const image of images) {
    await once(image.manifest.digest, image.manifestBytes.length, () => image.manifestBytes);
    await once(image.id, image.configBytes.length, () => image.configBytes);
    for (const layer of image.layers) await once(layer.digest, layer.size, () => input.layer(layer.digest));
  }
  if (index !== undefined) await once(target.digest, index.length, () => index);
}

type Reference = ReturnType<typeof parseReference>;

/** The image, or the index of several, under every name. */
function layoutIndex({ images, target, index }: Dressed, tags: readonly Reference[]): object {
  const platform = index === undefined ? { platform: images[0]?.platform } : {};
  const manifests: Descriptor[] =
    tags.length === 0
      ? [{ ...target, ...platform }]
      : tags.map((tag) => ({
          ...target,
          ...platform,
          annotations: {
            ...target.annotations,
            "io.containerd.image.name": normalisedName(tag),
            "org.opencontainers.image.ref.name": tag.tag ?? "latest",
          },
        }));
  return { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests };
}

const dockerEntry = ({ id, layers }: BuiltImage, names: readonly string[]): object => ({
  Config: blobPath(id),
  RepoTags: names.length === 0 ? null : names,
  Layers: layers.map(({ digest }) => blobPath(digest)),
});

const blobPath = (digest: Digest): string => `blobs/${digest.replace(":", "/")}`;
