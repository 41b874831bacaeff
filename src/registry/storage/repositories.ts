/** What belongs to each repository: links to blobs and manifests, tags, lists of referrers. */
import { type FileHandle, rmdir, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, isDigest } from "../../base/digest.ts";
import { KeyedLock } from "../../base/locks.ts";
import type { Descriptor } from "../../oci/types.ts";
import { isTag } from "../names.ts";
import type { Blobs } from "./blobs.ts";
import { exists, namesIn, readJson, removeDurable, touchInto, whenThere, writeDurable } from "./files.ts";
import { type Layout, nameOfFolder } from "./layout.ts";

export interface ManifestRecord {
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
  /** RFC 3339. */
  readonly pushed: string;
  /** The manifest this one refers to. */
  readonly subject?: string | undefined;
}

export interface TagRecord {
  readonly digest: Digest;
  /** RFC 3339. */
  readonly pushed: string;
}

/** What became of a repository: bytes it has more or (negative) less, what it has now or not any more. */
export interface Change {
  readonly bytes?: number | undefined;
  readonly linked?: Digest | undefined;
  readonly unlinked?: Digest | undefined;
}

/** Milliseconds between two notes of a manifest's use. */
const USE_STEP = 60_000;
const ALGORITHMS = ["sha256", "sha512"] as const;

export class Repositories {
  readonly #layout: Layout;
  readonly #blobs: Blobs;
  readonly #lock = new KeyedLock();
  /** Told of each link when it is made, while its blob cannot be removed: a collection that began meanwhile knows of it. */
  onLink: ((digest: Digest) => void) | undefined;
  /** Told of each change of what a repository has, of its tags, and of when its manifests were used. */
  readonly watchers = new Set<(name: string, change: Change) => void>();

  constructor(layout: Layout, blobs: Blobs) {
    this.#layout = layout;
    this.#blobs = blobs;
  }

  /** One change of a repository's manifests and tags at a time. */
  alone<T>(name: string, task: () => Promise<T>): Promise<T> {
    return this.#lock.run(name, task);
  }

  exists(name: string): Promise<boolean> {
    return exists(this.#layout.repository(name));
  }

  /** In the order of their bytes. */
  async names(): Promise<string[]> {
    const folders = await namesIn(this.#layout.repositories);
    return folders
      .map(nameOfFolder)
      .filter((name) => name !== undefined)
      .sort();
  }

  async hasBlob(name: string, digest: Digest): Promise<boolean> {
    return (await this.blobSize(name, digest)) !== undefined;
  }

  /** Undefined when the repository does not have it. Closing is the caller's. */
  async openBlob(name: string, digest: Digest): Promise<FileHandle | undefined> {
    return (await this.#isLinked(name, digest)) ? await this.#blobs.open(digest) : undefined;
  }

  /** Bytes; undefined when the repository does not have it. */
  async blobSize(name: string, digest: Digest): Promise<number | undefined> {
    return (await this.#isLinked(name, digest)) ? (await this.#blobs.info(digest))?.size : undefined;
  }

  /** Post-condition: the blob is the repository's and stays for a while without a manifest; the link goes to the disk soon. False when it is not stored. */
  async linkBlob(name: string, digest: Digest): Promise<boolean> {
    return await this.#blobs.alone(digest, async () => {
      const blob = await this.#blobs.info(digest);
      if (blob === undefined) return false;
      await this.linkHeldBlob(name, digest, blob.size);
      this.#blobs.syncer.later(digest, [this.#layout.blob(digest), this.#layout.blobLink(name, digest)]);
      return true;
    });
  }

  /** The same for who has the blob, of `size` bytes, alone; it may be stored after that. */
  async linkHeldBlob(name: string, digest: Digest, size: number): Promise<void> {
    const path = this.#layout.blobLink(name, digest);
    if (await touchInto(path)) this.#changed(name, { bytes: size, linked: digest });
    else await this.touchBlob(name, digest);
    this.onLink?.(digest);
  }

  /** Keeps it for a while without a manifest. False when it is not linked (any more). */
  async touchBlob(name: string, digest: Digest): Promise<boolean> {
    const now = new Date();
    return (await whenThere(utimes(this.#layout.blobLink(name, digest), now, now).then(() => true))) === true;
  }

  /** True when it was linked, and (where a time is given, in milliseconds since the epoch) no push asked for it since. */
  unlinkBlob(name: string, digest: Digest, since = Number.POSITIVE_INFINITY): Promise<boolean> {
    return this.#blobs.alone(digest, async () => {
      const touchedAt = await this.blobTouchedAt(name, digest);
      if (touchedAt === undefined || touchedAt > since) return false;
      const removed = await removeDurable(this.#layout.blobLink(name, digest));
      if (removed) this.#changed(name, { bytes: -((await this.#blobs.info(digest))?.size ?? 0), unlinked: digest });
      return removed;
    });
  }

  #isLinked(name: string, digest: Digest): Promise<boolean> {
    return exists(this.#layout.blobLink(name, digest));
  }

  /** When a push last asked for it, in milliseconds since the epoch; undefined when it is not linked. */
  async blobTouchedAt(name: string, digest: Digest): Promise<number | undefined> {
    return (await whenThere(stat(this.#layout.blobLink(name, digest))))?.mtimeMs;
  }

  async blobLinks(name: string): Promise<Digest[]> {
    const found: Digest[] = [];
    for (const algorithm of ALGORITHMS)
      for (const hex of await namesIn(this.#layout.blobLinks(name, algorithm))) found.push(`${algorithm}:${hex}`);
    return found.filter(isDigest);
  }

  manifest(name: string, digest: Digest): Promise<ManifestRecord | undefined> {
    return readJson<ManifestRecord>(this.#layout.manifest(name, digest));
  }

  /** Post-condition: the manifest, which is stored as a blob, is the repository's. */
  async linkManifest(name: string, digest: Digest, record: ManifestRecord): Promise<void> {
    const isNew = this.watchers.size > 0 && (await this.manifest(name, digest)) === undefined;
    await writeDurable(this.#layout.manifest(name, digest), JSON.stringify(record), this.#layout.tmp);
    this.#changed(name, isNew ? { bytes: record.size, linked: digest } : {});
    this.onLink?.(digest);
  }

  /** When a manifest was last pushed or pulled (to the minute): milliseconds since the epoch. */
  async manifestUsedAt(name: string, digest: Digest): Promise<number | undefined> {
    return (await whenThere(stat(this.#layout.manifest(name, digest))))?.mtimeMs;
  }

  /** Notes that it is used now. */
  async useManifest(name: string, digest: Digest): Promise<void> {
    const usedAt = await this.manifestUsedAt(name, digest);
    const now = Date.now();
    if (usedAt === undefined || now - usedAt < USE_STEP) return;
    await whenThere(utimes(this.#layout.manifest(name, digest), new Date(now), new Date(now)));
    this.#changed(name);
  }

  async unlinkManifest(name: string, digest: Digest): Promise<void> {
    const record = await this.manifest(name, digest);
    if (record === undefined) return;
    await removeDurable(this.#layout.manifest(name, digest));
    this.#changed(name, { bytes: -record.size, unlinked: digest });
  }

  async manifests(name: string): Promise<Digest[]> {
    const found: Digest[] = [];
    for (const algorithm of ALGORITHMS)
      for (const hex of await namesIn(this.#layout.manifests(name, algorithm))) found.push(`${algorithm}:${hex}`);
    return found.filter(isDigest);
  }

  /** In the order of their bytes. */
  async tags(name: string): Promise<string[]> {
    return (await namesIn(this.#layout.tags(name))).filter(isTag).sort();
  }

  tag(name: string, tag: string): Promise<TagRecord | undefined> {
    return readJson<TagRecord>(this.#layout.tag(name, tag));
  }

  async setTag(name: string, tag: string, record: TagRecord): Promise<void> {
    await writeDurable(this.#layout.tag(name, tag), JSON.stringify(record), this.#layout.tmp);
    this.#changed(name);
  }

  /** When a tag was set, or (in a cache) last compared with its upstream's: milliseconds since the epoch. */
  async tagCheckedAt(name: string, tag: string): Promise<number | undefined> {
    return (await whenThere(stat(this.#layout.tag(name, tag))))?.mtimeMs;
  }

  async touchTag(name: string, tag: string): Promise<void> {
    const now = new Date();
    await whenThere(utimes(this.#layout.tag(name, tag), now, now));
  }

  async removeTag(name: string, tag: string): Promise<boolean> {
    const removed = await removeDurable(this.#layout.tag(name, tag));
    if (removed) this.#changed(name);
    return removed;
  }

  async addReferrer(name: string, subject: string, descriptor: Descriptor): Promise<void> {
    const path = this.#layout.referrer(name, subject, descriptor.digest);
    await writeDurable(path, JSON.stringify(descriptor), this.#layout.tmp);
  }

  async removeReferrer(name: string, subject: string, digest: Digest): Promise<void> {
    await removeDurable(this.#layout.referrer(name, subject, digest));
    await rmdir(this.#layout.referrers(name, subject)).catch(() => {});
  }

  /** Digests of what the repository may have about a subject; in the order of their bytes. */
  async referrers(name: string, subject: string): Promise<Digest[]> {
    const files = await namesIn(this.#layout.referrers(name, subject));
    return files
      .map((file) => file.replace("-", ":"))
      .filter(isDigest)
      .sort();
  }

  /** Undefined when it is not there, or its manifest is not the repository's (any more). */
  async referrer(name: string, subject: string, digest: Digest): Promise<Descriptor | undefined> {
    if (!(await exists(this.#layout.manifest(name, digest)))) return undefined;
    return await readJson<Descriptor>(this.#layout.referrer(name, subject, digest));
  }

  /** Takes the folders away of a repository in which nothing is left. */
  async removeEmpty(name: string): Promise<void> {
    const folder = this.#layout.repository(name);
    const kinds = ["blobs", "manifests"].flatMap((kind) => ALGORITHMS.map((algorithm) => join(kind, algorithm)));
    for (const part of [
      ...kinds,
      "blobs",
      "manifests",
      "tags",
      "referrers/sha256",
      "referrers/sha512",
      "referrers",
      ".",
    ])
      await rmdir(join(folder, part)).catch(() => {});
  }

  #changed(name: string, change: Change = {}): void {
    for (const watcher of this.watchers) watcher(name, change);
  }
}
