import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { chainIds } from "../oci/chain.ts";
import { familiarName, parseReference, type Reference, repositoryOf } from "../oci/reference.ts";
import type { Descriptor } from "../oci/types.ts";
import { parseImageConfig } from "../oci/validate.ts";
import type { Store } from "../store/store.ts";
import type { Image } from "./images.ts";

/** An image with what only this module needs to know. Frozen. */
export interface ImageRecord {
  readonly image: Image;
  /** Chain ids, lowest first. */
  readonly chain: readonly Digest[];
  /** Every digest that the image needs in content. */
  readonly blobs: readonly Digest[];
  /** The local image that this one was made from by a commit. */
  readonly parent: Digest | undefined;
  readonly addedAt: string;
  readonly taggedAt: string | undefined;
  readonly usedAt: string | undefined;
}

export interface NameRecord {
  /** Normalised, with a tag or a digest. */
  readonly name: string;
  readonly reference: Reference;
  readonly familiar: string;
  readonly imageId: Digest;
  readonly target: Descriptor;
}

export interface NewImage {
  readonly id: Digest;
  readonly manifest: Descriptor;
  /** The configuration as it is stored. */
  readonly config: Uint8Array;
  readonly layers: readonly Digest[];
  readonly parent?: Digest | undefined;
}

/**
 * What images and names there are: the database, and all of it in memory too, since an image is looked up at every create and
 * listed at every `ps`. Every method is synchronous; a change is in the database before it is seen.
 */
export class Catalog {
  readonly #store: Store;
  readonly #images = new Map<Digest, ImageRecord>();
  readonly #names = new Map<string, NameRecord>();
  readonly #namesOf = new Map<Digest, Set<string>>();
  readonly #childrenOf = new Map<Digest, Set<Digest>>();
  #version = 0;

  constructor(store: Store) {
    this.#store = store;
    for (const row of store.all<ImageRow>("SELECT * FROM images")) this.#keepImage(recordOf(row));
    for (const { name, image, target } of store.all<NameRow>("SELECT * FROM image_names"))
      this.#keepName({ name, imageId: image, target: JSON.parse(target), ...readable(name) });
  }

  /** Changes whenever images come or go. */
  get version(): number {
    return this.#version;
  }

  image(id: Digest): ImageRecord | undefined {
    return this.#images.get(id);
  }

  images(): IterableIterator<ImageRecord> {
    return this.#images.values();
  }

  name(normalised: string): NameRecord | undefined {
    return this.#names.get(normalised);
  }

  names(): IterableIterator<NameRecord> {
    return this.#names.values();
  }

  /** Sorted. */
  namesOf(id: Digest): NameRecord[] {
    const names = [...(this.#namesOf.get(id) ?? [])].sort();
    return names.map((name) => this.#names.get(name)).filter((record) => record !== undefined);
  }

  /** Names with a tag, of one repository ("docker.io/library/alpine"), sorted. */
  tagsOf(repository: string): NameRecord[] {
    const tags = [...this.#names.values()].filter(
      ({ reference }) => reference.digest === undefined && repositoryOf(reference) === repository,
    );
    return tags.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Local images committed on top of this one. */
  children(id: Digest): readonly Digest[] {
    return [...(this.#childrenOf.get(id) ?? [])];
  }

  /** All or nothing, and on the disk when it returns. */
  durable<T>(work: () => T): T {
    try {
      return this.#store.durable(work);
    } catch (error) {
      this.#reload();
      throw error;
    }
  }

  /** Adds an image, or the layers' other form to one that is there already. Idempotent. */
  addImage({ id, manifest, config, layers, parent }: NewImage): ImageRecord {
    const before = this.#images.get(id);
    const blobs = [...new Set([...(before?.blobs ?? []), manifest.digest, id, ...layers])];
    const row: ImageRow = {
      id,
      manifest: JSON.stringify(manifest),
      config: Buffer.from(config).toString("utf8"),
      blobs: JSON.stringify(blobs),
      parent: parent ?? before?.parent ?? null,
      added_at: before?.addedAt ?? new Date().toISOString(),
      tagged_at: before?.taggedAt ?? null,
      used_at: before?.usedAt ?? null,
    };
    this.#store.run(
      `INSERT INTO images (id, manifest, config, blobs, parent, added_at, tagged_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, blobs = excluded.blobs, parent = excluded.parent`,
      ...[row.id, row.manifest, row.config, row.blobs, row.parent, row.added_at, row.tagged_at, row.used_at],
    );
    const record = recordOf(row);
    this.#keepImage(record);
    return record;
  }

  /** The image must have no names any more. */
  deleteImage(id: Digest): void {
    this.#store.run("DELETE FROM images WHERE id = ?", id);
    const parent = this.#images.get(id)?.parent;
    if (parent !== undefined) this.#childrenOf.get(parent)?.delete(id);
    this.#images.delete(id);
    this.#version++;
  }

  /** Points a name at an image; returns the image that had it before, if that was another. */
  setName(reference: Reference, name: string, imageId: Digest, target: Descriptor): Digest | undefined {
    const before = this.#names.get(name)?.imageId;
    this.#store.run(
      "INSERT INTO image_names (name, image, target) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET image = excluded.image, target = excluded.target",
      ...[name, imageId, JSON.stringify(target)],
    );
    this.#setTime(imageId, "tagged_at", new Date().toISOString());
    if (before !== undefined) this.#namesOf.get(before)?.delete(name);
    this.#keepName({ name, imageId, target, reference, familiar: familiarName(reference) });
    return before === imageId ? undefined : before;
  }

  removeName(name: string): void {
    this.#store.run("DELETE FROM image_names WHERE name = ?", name);
    const record = this.#names.get(name);
    this.#names.delete(name);
    if (record !== undefined) this.#namesOf.get(record.imageId)?.delete(name);
  }

  /** Records that the image was used; written at most once a minute and image. */
  touch(id: Digest): void {
    const used = this.#images.get(id)?.usedAt;
    const now = Date.now();
    if (used !== undefined && now - Date.parse(used) < 60_000) return;
    this.#setTime(id, "used_at", new Date(now).toISOString());
  }

  /** Ids that begin with these hex digits. */
  idsWithPrefix(hex: string): Digest[] {
    return [...this.#images.keys()].filter((id) => id.startsWith(hex, id.indexOf(":") + 1));
  }

  #setTime(id: Digest, column: "tagged_at" | "used_at", time: string): void {
    const record = this.#images.get(id);
    if (record === undefined) throw new EngineError("internal", `there is no image ${id}`);
    this.#store.run(`UPDATE images SET ${column} = ? WHERE id = ?`, time, id);
    const changed = column === "tagged_at" ? { taggedAt: time } : { usedAt: time };
    this.#images.set(id, Object.freeze({ ...record, ...changed }));
  }

  #keepImage(record: ImageRecord): void {
    const { id } = record.image;
    this.#images.set(id, record);
    if (record.parent !== undefined) add(this.#childrenOf, record.parent, id);
    this.#version++;
  }

  #keepName(record: NameRecord): void {
    this.#names.set(record.name, Object.freeze(record));
    add(this.#namesOf, record.imageId, record.name);
  }

  /** After a transaction that failed half-way. */
  #reload(): void {
    const fresh = new Catalog(this.#store);
    for (const [mine, theirs] of [
      [this.#images, fresh.#images],
      [this.#names, fresh.#names],
      [this.#namesOf, fresh.#namesOf],
      [this.#childrenOf, fresh.#childrenOf],
    ] as [Map<string, unknown>, Map<string, unknown>][]) {
      mine.clear();
      for (const [key, value] of theirs) mine.set(key, value);
    }
    this.#version++;
  }
}

interface ImageRow {
  readonly id: string;
  readonly manifest: string;
  readonly config: string;
  readonly blobs: string;
  readonly parent: string | null;
  readonly added_at: string;
  readonly tagged_at: string | null;
  readonly used_at: string | null;
}

interface NameRow {
  readonly name: string;
  readonly image: string;
  readonly target: string;
}

function recordOf(row: ImageRow): ImageRecord {
  const config = deepFreeze(parseImageConfig(Buffer.from(row.config)));
  const chain = chainIds(config.rootfs.diff_ids);
  const image: Image = Object.freeze({
    id: row.id,
    manifest: deepFreeze(JSON.parse(row.manifest) as Descriptor),
    config,
    chainId: chain.at(-1),
  });
  return Object.freeze({
    image,
    chain,
    blobs: JSON.parse(row.blobs) as Digest[],
    parent: row.parent ?? undefined,
    addedAt: row.added_at,
    taggedAt: row.tagged_at ?? undefined,
    usedAt: row.used_at ?? undefined,
  });
}

function readable(name: string): { reference: Reference; familiar: string } {
  const reference = parseReference(name);
  return { reference, familiar: familiarName(reference) };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const member of Object.values(value)) deepFreeze(member);
    Object.freeze(value);
  }
  return value;
}

function add<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}
