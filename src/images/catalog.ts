import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { familiarName, normalisedName, type Reference, repositoryOf } from "../oci/reference.ts";
import type { Descriptor } from "../oci/types.ts";
import type { Store } from "../store/store.ts";
import type { Target } from "./images.ts";
import {
  type ImageRecord,
  type ImageRow,
  imageOf,
  type NameRecord,
  type NameRow,
  nameOf,
  type TargetRecord,
  type TargetRow,
  targetOf,
  targetRow,
} from "./rows.ts";

export interface NewImage {
  readonly id: Digest;
  readonly kind?: "image" | "artifact" | undefined;
  readonly manifest: Descriptor;
  /** The configuration as it is stored. */
  readonly config: Uint8Array;
  readonly parent?: Digest | undefined;
}

/** What went with a target: blobs and images that may have been its own. */
export interface Dropped {
  readonly blobs: readonly Digest[];
  /** Rows that are gone: no other target has them. */
  readonly images: readonly ImageRecord[];
}

/**
 * What images, targets and names there are: the database, and all of it in memory too, since an image is looked up at every create
 * and listed at every `ps`. Every method is synchronous; a change is in the database before it is seen.
 *
 * An image is there as long as a target has it; it is listed as long as a target shows it.
 */
export class Catalog {
  readonly #store: Store;
  readonly #images = new Map<Digest, ImageRecord>();
  readonly #targets = new Map<Digest, TargetRecord>();
  readonly #names = new Map<string, NameRecord>();
  readonly #namesOf = new Map<Digest, Set<string>>();
  readonly #childrenOf = new Map<Digest, Set<Digest>>();
  /** Targets by the image they show, and by every image they have. */
  readonly #showing = new Map<Digest, Set<Digest>>();
  readonly #having = new Map<Digest, Set<Digest>>();
  #version = 0;

  constructor(store: Store) {
    this.#store = store;
    for (const row of store.all<ImageRow>("SELECT * FROM images")) this.#keepImage(imageOf(row));
    for (const row of store.all<TargetRow>("SELECT * FROM image_targets")) this.#keepTarget(targetOf(row));
    for (const row of store.all<NameRow>("SELECT * FROM image_names")) this.#keepName(nameOf(row));
  }

  /** Changes whenever images or targets come or go. */
  get version(): number {
    return this.#version;
  }

  image(id: Digest): ImageRecord | undefined {
    return this.#images.get(id);
  }

  /** Also those that are not listed by themselves. */
  images(): IterableIterator<ImageRecord> {
    return this.#images.values();
  }

  /** Those that some target shows. */
  shown(): ImageRecord[] {
    return [...this.#images.values()].filter(({ image }) => (this.#showing.get(image.id)?.size ?? 0) > 0);
  }

  target(digest: Digest): TargetRecord | undefined {
    return this.#targets.get(digest);
  }

  targets(): IterableIterator<TargetRecord> {
    return this.#targets.values();
  }

  /** Targets that show the image, the newest first. */
  targetsOf(id: Digest): TargetRecord[] {
    const targets = [...(this.#showing.get(id) ?? [])].map((digest) => this.#targets.get(digest));
    return targets.filter((target) => target !== undefined).sort((a, b) => (a.addedAt < b.addedAt ? 1 : -1));
  }

  /** Targets that have the image, whatever they show. */
  targetsWith(id: Digest): TargetRecord[] {
    const targets = [...(this.#having.get(id) ?? [])].map((digest) => this.#targets.get(digest));
    return targets.filter((target) => target !== undefined);
  }

  /** The image and those that come and go with it: what only the targets that show it have. */
  family(id: Digest): Digest[] {
    const own = this.#showing.get(id) ?? new Set<Digest>();
    const members = [...own].flatMap((digest) => this.#targets.get(digest)?.parts ?? []);
    const ids = new Set(members.map(({ image }) => image).filter((image) => image !== undefined));
    const isOwn = (member: Digest) => [...(this.#having.get(member) ?? [])].every((digest) => own.has(digest));
    return [id, ...[...ids].filter((member) => member !== id && isOwn(member))];
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

  isNamed({ imageId, descriptor }: Target): boolean {
    return this.namesOf(imageId).some(({ target }) => target.digest === descriptor.digest);
  }

  /** Names with a tag, of one repository ("docker.io/library/alpine"), sorted. */
  tagsOf(repository: string): NameRecord[] {
    const tags = [...this.#names.values()].filter(
      ({ reference }) => reference.digest === undefined && repositoryOf(reference) === repository,
    );
    return tags.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Local images made on top of this one. */
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

  /** Idempotent. A target that has it must follow in the same transaction. */
  addImage({ id, kind = "image", manifest, config, parent }: NewImage): ImageRecord {
    const before = this.#images.get(id);
    const row: ImageRow = {
      id,
      kind,
      manifest: JSON.stringify(manifest),
      config: Buffer.from(config).toString("utf8"),
      parent: parent ?? before?.parent ?? null,
      added_at: before?.addedAt ?? new Date().toISOString(),
      tagged_at: before?.taggedAt ?? null,
      used_at: before?.usedAt ?? null,
    };
    this.#store.run(
      `INSERT INTO images (id, kind, manifest, config, parent, added_at, tagged_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, parent = excluded.parent`,
      ...[row.id, row.kind, row.manifest, row.config, row.parent, row.added_at, row.tagged_at, row.used_at],
    );
    const record = imageOf(row);
    this.#keepImage(record);
    return record;
  }

  /** Adds a target whose images are there, or replaces what was known of it; its names follow when it shows another image now. Images that only the old one had are gone. */
  addTarget(target: Target): TargetRecord {
    const { digest } = target.descriptor;
    const before = this.#targets.get(digest);
    const row = targetRow(target, before?.addedAt ?? new Date().toISOString());
    this.#store.run(
      `INSERT INTO image_targets (digest, descriptor, image, tree, added_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (digest) DO UPDATE SET descriptor = excluded.descriptor, image = excluded.image, tree = excluded.tree`,
      ...[row.digest, row.descriptor, row.image, row.tree, row.added_at],
    );
    if (before !== undefined) this.#forgetTarget(before);
    const record = targetOf(row);
    this.#keepTarget(record);
    if (before === undefined) return record;
    if (before.imageId !== record.imageId) this.#moveNames(before, record.imageId);
    for (const id of imagesOf(before)) this.#dropUnlessHad(id);
    return record;
  }

  /** No name may point to it any more. */
  deleteTarget(digest: Digest): Dropped {
    const target = this.#targets.get(digest);
    if (target === undefined) return { blobs: [], images: [] };
    this.#store.run("DELETE FROM image_targets WHERE digest = ?", digest);
    this.#forgetTarget(target);
    this.#targets.delete(digest);
    this.#version++;
    return { blobs: target.blobs, images: imagesOf(target).flatMap((id) => this.#dropUnlessHad(id) ?? []) };
  }

  /** Points a name at a target; returns the image that had it before, if that was another. */
  setName(reference: Reference, { descriptor, imageId }: Target): Digest | undefined {
    const name = normalisedName(reference);
    const before = this.#names.get(name)?.imageId;
    this.#store.run(
      "INSERT INTO image_names (name, image, target) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET image = excluded.image, target = excluded.target",
      ...[name, imageId, JSON.stringify(descriptor)],
    );
    this.#setTime(imageId, "tagged_at", new Date().toISOString());
    if (before !== undefined) this.#namesOf.get(before)?.delete(name);
    this.#keepName({ name, imageId, target: descriptor, reference, familiar: familiarName(reference) });
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

  #moveNames(before: TargetRecord, imageId: Digest): void {
    for (const { name, reference, target } of this.namesOf(before.imageId))
      if (target.digest === before.descriptor.digest) {
        this.#store.run("UPDATE image_names SET image = ? WHERE name = ?", imageId, name);
        this.#namesOf.get(before.imageId)?.delete(name);
        this.#keepName({ name, imageId, target, reference, familiar: familiarName(reference) });
      }
  }

  #dropUnlessHad(id: Digest): ImageRecord | undefined {
    const record = this.#images.get(id);
    if (record === undefined) return undefined;
    if ((this.#having.get(id)?.size ?? 0) > 0) {
      this.#keepManifest(id);
      return undefined;
    }
    this.#store.run("DELETE FROM images WHERE id = ?", id);
    if (record.parent !== undefined) this.#childrenOf.get(record.parent)?.delete(id);
    this.#images.delete(id);
    return record;
  }

  /** The image's manifest is one that a target has, the newest. */
  #keepManifest(id: Digest): void {
    const record = this.#images.get(id);
    if (record === undefined || record.kind === "artifact") return;
    const parts = this.targetsWith(id).flatMap((target) => target.parts.filter(({ image }) => image === id));
    const found = parts.at(-1)?.descriptor;
    if (found === undefined || parts.some(({ descriptor }) => descriptor.digest === record.image.manifest.digest))
      return;
    const manifest = { mediaType: found.mediaType, digest: found.digest, size: found.size };
    this.#store.run("UPDATE images SET manifest = ? WHERE id = ?", JSON.stringify(manifest), id);
    this.#images.set(id, Object.freeze({ ...record, image: Object.freeze({ ...record.image, manifest }) }));
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

  #keepTarget(record: TargetRecord): void {
    const { digest } = record.descriptor;
    this.#targets.set(digest, record);
    add(this.#showing, record.imageId, digest);
    for (const id of imagesOf(record)) add(this.#having, id, digest);
    this.#version++;
  }

  #forgetTarget(target: TargetRecord): void {
    const { digest } = target.descriptor;
    this.#showing.get(target.imageId)?.delete(digest);
    for (const id of imagesOf(target)) this.#having.get(id)?.delete(digest);
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
      [this.#targets, fresh.#targets],
      [this.#names, fresh.#names],
      [this.#namesOf, fresh.#namesOf],
      [this.#childrenOf, fresh.#childrenOf],
      [this.#showing, fresh.#showing],
      [this.#having, fresh.#having],
    ] as [Map<string, unknown>, Map<string, unknown>][]) {
      mine.clear();
      for (const [key, value] of theirs) mine.set(key, value);
    }
    this.#version++;
  }
}

function imagesOf({ imageId, parts }: Target): Digest[] {
  return [...new Set([imageId, ...parts.flatMap(({ image }) => image ?? [])])];
}

function add<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}
