/** `images --tree`: each image with the platforms that are below it. */
import type { ImageManifestSummary, ImageSummary } from "../../api/types/image.ts";
import { humanSize } from "./sizes.ts";
import { alignCells } from "./tabwriter.ts";
import { idText } from "./text.ts";

const HEADER = ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"];

/** `U` behind what a container uses. */
export function imageTree(images: readonly ImageSummary[]): string {
  return alignCells([HEADER, ...images.flatMap(rowsOf)]);
}

function rowsOf(image: ImageSummary): string[][] {
  const manifests = (image.Manifests ?? []).filter(({ Kind }) => Kind === "image");
  const stored = (image.Manifests ?? []).reduce((sum, { Size }) => sum + (Size?.Content ?? 0), 0);
  const names = image.RepoTags?.length ? image.RepoTags : (image.RepoDigests ?? []);
  const [first = "<untagged>", ...others] = names;
  const top = [
    first,
    idText(image.Id, false),
    humanSize(image.Size, 3),
    humanSize(stored, 3),
    used(image.Containers > 0),
  ];
  const below = manifests.length > 1 ? manifests : [];
  return [
    top,
    ...others.map((name) => [name, "", "", "", ""]),
    ...below.map((manifest, at) => rowOf(manifest, at === below.length - 1)),
  ];
}

function rowOf({ ID = "", Size, ImageData }: ImageManifestSummary, isLast: boolean): string[] {
  const { os = "", architecture = "", variant } = ImageData?.Platform ?? {};
  const platform = [os, architecture, ...(variant ? [variant] : [])].join("/");
  return [
    `${isLast ? "└─" : "├─"} ${platform}`,
    idText(ID, false),
    humanSize(Size?.Total ?? 0, 3),
    humanSize(Size?.Content ?? 0, 3),
    used((ImageData?.Containers ?? []).length > 0),
  ];
}

const used = (inUse: boolean) => (inUse ? "U" : "");
