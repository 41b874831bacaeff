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
import { Slots } from "../base/slots.ts";
import type { Content } from "../content/content.ts";
import type { Events } from "../events/events.ts";
import { familiarName, parseTagTarget } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import type { Remote } from "../remote/remote.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Store } from "../store/store.ts";
import { type CommitOptions, commit, type ImportOptions, importImage } from "./build-image.ts";
import { Catalog } from "./catalog.ts";
import type { Filters, Image, Images, ImageUse, Lease, Recorded, RecordOptions, Target } from "./images.ts";
import { history, inspect } from "./inspect.ts";
import { Leases } from "./leases.ts";
import { type ListOptions, list } from "./list.ts";
import { type LoadOptions, load } from "./load.ts";
import { prune } from "./prune.ts";
import { type PullOptions, pull } from "./pull.ts";
import { Downloads } from "./pull-downloads.ts";
import { type PushOptions, push } from "./push.ts";
import { record, repair, type UnpackOptions, unpackImage } from "./record.ts";
import { type RemoveOptions, remove } from "./remove.ts";
import { imageAlone, notRunnable, resolve } from "./resolve.ts";
import { save } from "./save.ts";
import { Sizes } from "./sizes.ts";
import { Sweeper } from "./sweep.ts";
import { publish, type Workshop, withLease } from "./workshop.ts";

export interface ImagesOptions {
  readonly store: Store;
  readonly content: Content;
  readonly snapshots: Snapshots;
  readonly events: Events;
  readonly remote: Remote;
  /** What containers use now. */
  readonly uses: () => readonly ImageUse[];
  /** Who else needs a blob (by digest) or a layer (by chain id): a build cache, a registry. Asked at every removal, so it answers fast. */
  readonly keeps?: ((digest: Digest) => boolean) | undefined;
  readonly logger: Logger;
}

/** Reads the images that there are. Nothing needs closing. */
export function openImages(options: ImagesOptions): Images {
  const { store, content, snapshots, events, remote, uses, logger, keeps = () => false } = options;
  const catalog = new Catalog(store);
  const leases = new Leases();
  const sizes = new Sizes({ content, snapshots });
  const sweeper = new Sweeper({ catalog, content, snapshots, leases, sizes, keeps });
  const downloads = new Downloads(content, new Slots(() => remote.settings.maxConcurrentDownloads));
  const uploads = new Slots(() => remote.settings.maxConcurrentUploads);
  return new LocalImages({
    catalog,
    content,
    snapshots,
    events,
    remote,
    downloads,
    uploads,
    leases,
    sweeper,
    sizes,
    uses,
    logger,
  });
}

class LocalImages implements Images {
  readonly #shop: Workshop;

  constructor(shop: Workshop) {
    this.#shop = shop;
  }

  get(name: string, platform?: Platform | undefined): Image {
    const image = this.peek(name, platform);
    this.#shop.catalog.touch(image.id);
    return image;
  }

  peek(name: string, platform?: Platform | undefined): Image {
    const { record, target } = resolve(this.#shop.catalog, name, platform);
    if (record.kind === "artifact") throw notRunnable(name, target);
    return record.image;
  }

  target(name: string): Target {
    return resolve(this.#shop.catalog, name).target;
  }

  async unpack(image: Image, options: UnpackOptions = {}): Promise<void> {
    await unpackImage(this.#shop, image, options);
  }

  async lease<T>(work: (lease: Lease) => Promise<T>): Promise<T> {
    return await withLease(this.#shop, work);
  }

  async record(options: RecordOptions): Promise<Recorded> {
    return await record(this.#shop, options);
  }

  async list(options: ListOptions): Promise<ImageSummary[]> {
    return await list(this.#shop, options);
  }

  async inspect(
    name: string,
    platform?: Platform | undefined,
    { manifests = false }: { readonly manifests?: boolean | undefined } = {},
  ): Promise<ImageInspect> {
    return inspect(this.#shop, resolve(this.#shop.catalog, name, platform), manifests);
  }

  history(name: string, platform?: Platform | undefined): ImageHistoryItem[] {
    return history(this.#shop, resolve(this.#shop.catalog, name, platform).record);
  }

  tag(name: string, repo: string, tag: string, platform?: Platform | undefined): void {
    const reference = parseTagTarget(repo, tag);
    const { catalog } = this.#shop;
    const { target, record } = resolve(catalog, name, platform);
    const wanted = platform === undefined ? target : imageAlone([target], record.image.id);
    catalog.durable(() => catalog.setName(reference, catalog.addTarget(wanted)));
    publish(this.#shop, "tag", wanted.imageId, familiarName(reference));
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

  async pull(name: string, options: PullOptions): Promise<void> {
    await pull(this.#shop, name, options);
  }

  async suspend(): Promise<void> {
    await this.#shop.downloads.close();
  }

  async push(name: string, options: PushOptions): Promise<void> {
    await push(this.#shop, name, options);
  }

  async save(names: readonly string[], platforms?: readonly Platform[] | undefined): Promise<Readable> {
    return await save(this.#shop, names, platforms);
  }

  async import(tar: Readable | URL, options: ImportOptions): Promise<Digest> {
    return await importImage(this.#shop, tar, options);
  }

  async commit(options: CommitOptions): Promise<Digest> {
    return await commit(this.#shop, options);
  }

  needsLayer(chainId: Digest): boolean {
    return this.#shop.sweeper.isNeeded(chainId, "layers");
  }

  async collect(): Promise<number> {
    return (await this.#shop.sweeper.sweepAll()).freed;
  }

  async layersSize(): Promise<number> {
    await this.#shop.snapshots.measured();
    return this.#shop.sizes.all(this.#shop.catalog) + this.#shop.content.unfinished();
  }

  async repair(): Promise<void> {
    await repair(this.#shop);
  }

  used(id: Digest): void {
    if (this.#shop.catalog.image(id) !== undefined) this.#shop.catalog.touch(id);
  }
}
