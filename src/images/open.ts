import type { Readable } from "node:stream";
import type {
  ImageDeleteItem,
  ImageHistoryItem,
  ImageInspect,
  ImagePruneResult,
  ImageSummary,
} from "../api/types/image.ts";
import type { Digest } from "../base/digest.ts";
import type { Logger } from "../base/log.ts";
import type { Content } from "../content/content.ts";
import type { Events } from "../events/events.ts";
import { familiarName, parseTagTarget } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Store } from "../store/store.ts";
import { type CommitOptions, commit, type ImportOptions, importImage } from "./build-image.ts";
import { Catalog } from "./catalog.ts";
import type { Filters, Image, Images, ImageUse } from "./images.ts";
import { history, inspect } from "./inspect.ts";
import { Leases } from "./leases.ts";
import { type ListOptions, list } from "./list.ts";
import { type LoadOptions, load } from "./load.ts";
import { diskSize, prune } from "./prune.ts";
import { type RemoveOptions, remove } from "./remove.ts";
import { resolve } from "./resolve.ts";
import { save } from "./save.ts";
import { Sweeper } from "./sweep.ts";
import { publish, setTag, type Workshop } from "./workshop.ts";

export interface ImagesOptions {
  readonly store: Store;
  readonly content: Content;
  readonly snapshots: Snapshots;
  readonly events: Events;
  /** What containers use now. */
  readonly uses: () => readonly ImageUse[];
  readonly logger: Logger;
}

/** Reads the images that there are. Nothing needs closing. */
export function openImages({ store, content, snapshots, events, uses, logger }: ImagesOptions): Images {
  const catalog = new Catalog(store);
  const leases = new Leases();
  const sweeper = new Sweeper({ catalog, content, snapshots, leases });
  return new LocalImages({ catalog, content, snapshots, events, leases, sweeper, uses, logger });
}

class LocalImages implements Images {
  readonly #shop: Workshop;

  constructor(shop: Workshop) {
    this.#shop = shop;
  }

  get(name: string, platform?: Platform | undefined): Image {
    const { image } = resolve(this.#shop.catalog, name, platform).record;
    this.#shop.catalog.touch(image.id);
    return image;
  }

  async list(options: ListOptions): Promise<ImageSummary[]> {
    return list(this.#shop, options);
  }

  async inspect(name: string, platform?: Platform | undefined): Promise<ImageInspect> {
    return inspect(this.#shop, resolve(this.#shop.catalog, name, platform).record);
  }

  history(name: string, platform?: Platform | undefined): ImageHistoryItem[] {
    return history(this.#shop, resolve(this.#shop.catalog, name, platform).record);
  }

  tag(name: string, repo: string, tag: string): void {
    const reference = parseTagTarget(repo, tag);
    const { image } = resolve(this.#shop.catalog, name).record;
    setTag(this.#shop, reference, image.id, image.manifest);
    publish(this.#shop, "tag", image.id, familiarName(reference));
  }

  async remove(name: string, options: RemoveOptions): Promise<ImageDeleteItem[]> {
    return await remove(this.#shop, name, options);
  }

  async prune(filters: Filters): Promise<ImagePruneResult> {
    return await prune(this.#shop, filters);
  }

  async load(archive: Readable, options: LoadOptions): Promise<void> {
    await load(this.#shop, archive, options);
  }

  async save(names: readonly string[], platform?: Platform | undefined): Promise<Readable> {
    return await save(this.#shop, names, platform);
  }

  async import(tar: Readable, options: ImportOptions): Promise<Digest> {
    return await importImage(this.#shop, tar, options);
  }

  async commit(options: CommitOptions): Promise<Digest> {
    return await commit(this.#shop, options);
  }

  async collect(): Promise<number> {
    return (await this.#shop.sweeper.sweepAll()).freed;
  }

  layersSize(): number {
    return diskSize(this.#shop);
  }
}
