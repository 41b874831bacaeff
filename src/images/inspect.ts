import type { ImageConfig, ImageHistoryItem, ImageInspect } from "../api/types/image.ts";
import { ZERO_TIME } from "../base/time.ts";
import type { ImageConfigFile } from "../oci/types.ts";
import { digestsOf, summaries, tagsOf, wireDescriptor } from "./list.ts";
import type { Resolved } from "./resolve.ts";
import type { ImageRecord } from "./rows.ts";
import { type Makings, makingsOf } from "./sizes.ts";
import type { Workshop } from "./workshop.ts";

/** Fields of a configuration that are there also when the image does not say them. */
const ALWAYS_SAID = {
  Cmd: null,
  Entrypoint: null,
  Env: null,
  Labels: null,
  OnBuild: null,
  User: "",
  Volumes: null,
  WorkingDir: "",
} satisfies ImageConfig;

/** Docker's names of the drivers, which clients look for. */
const DRIVER_NAMES = { overlay: "overlay2", copy: "vfs" } as const;

/** An image that was reached by its platform has the names of its target. */
export function inspect(shop: Workshop, { record, target }: Resolved, manifests: boolean): ImageInspect {
  const { catalog, snapshots, sizes } = shop;
  const { id, config, manifest } = record.image;
  const isShown = id === target.imageId;
  const names = catalog.namesOf(target.imageId);
  return {
    Id: id,
    RepoTags: tagsOf(names),
    RepoDigests: digestsOf(names),
    Parent: record.parent ?? "",
    Comment: config.comment ?? lastComment(config),
    ...(config.created !== undefined && { Created: config.created }),
    DockerVersion: config.docker_version ?? "",
    Author: config.author ?? "",
    Config: { ...ALWAYS_SAID, ...(structuredClone(config.config ?? {}) as ImageConfig) },
    Architecture: config.architecture,
    ...(config.variant !== undefined && { Variant: config.variant }),
    Os: config.os,
    ...(config["os.version"] !== undefined && { OsVersion: config["os.version"] }),
    Size: sizes.of(isShown ? makingsOf(catalog, id) : makingsOfPart(record, target)),
    GraphDriver: { Name: DRIVER_NAMES[snapshots.driver], Data: driverData(shop, record) },
    RootFS: {
      Type: "layers",
      ...(config.rootfs.diff_ids.length > 0 && { Layers: [...config.rootfs.diff_ids] }),
    },
    Metadata: { LastTagTime: record.taggedAt ?? ZERO_TIME },
    Descriptor: wireDescriptor(isShown ? target.descriptor : manifest),
    ...(manifests && { Manifests: summaries(shop, [target]) }),
  };
}

/** Docker's names for where the layers lie; nothing for an image that is not unpacked. */
function driverData({ snapshots }: Workshop, { image: { chainId } }: ImageRecord): Record<string, string> {
  const [top, ...below] = (chainId === undefined ? undefined : snapshots.layerFolders(chainId)) ?? [];
  if (top === undefined) return {};
  return { ...(below.length > 0 && { LowerDir: below.join(":") }), UpperDir: top };
}

function makingsOfPart({ image, chain }: ImageRecord, { parts }: Resolved["target"]): Makings {
  return { blobs: new Set(parts.find((part) => part.image === image.id)?.blobs), layers: new Set(chain) };
}

function lastComment({ history }: ImageConfigFile): string {
  return history?.at(-1)?.comment ?? "";
}

/** Newest first. Only images that are here have an id and tags; the steps below a loaded image are "<missing>". */
export function history({ catalog, snapshots }: Workshop, record: ImageRecord): ImageHistoryItem[] {
  let layer = 0;
  const items: ImageHistoryItem[] = [];
  for (const step of record.image.config.history ?? []) {
    const chainId = step.empty_layer === true ? undefined : record.chain[layer++];
    const created = Date.parse(step.created ?? "");
    items.unshift({
      Id: "<missing>",
      Created: Number.isNaN(created) ? 0 : Math.floor(created / 1000),
      CreatedBy: step.created_by ?? "",
      Tags: [],
      Size: chainId === undefined ? 0 : (snapshots.layer(chainId)?.size ?? 0),
      Comment: step.comment ?? "",
    });
  }
  let image: ImageRecord | undefined = record;
  for (const item of items) {
    if (image === undefined) break;
    item.Id = image.image.id;
    item.Tags = tagsOf(catalog.namesOf(image.image.id));
    image = image.parent === undefined ? undefined : catalog.image(image.parent);
  }
  return items;
}
