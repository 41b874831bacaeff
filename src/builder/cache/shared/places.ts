/** Where travelling caches lie: a registry's repository, or a folder with an OCI layout. */
import { createReadStream, existsSync, readFileSync, rmSync } from "node:fs";
import { copyFile, rename } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { type Digest, digestOf, parseDigest } from "../../../base/digest.ts";
import { explainDiskFull } from "../../../base/disk-full.ts";
import { EngineError, errnoOf } from "../../../base/errors.ts";
import { writeFileAtomic } from "../../../base/files.ts";
import { makeFolders } from "../../../base/folders.ts";
import { newId } from "../../../base/ids.ts";
import type { Content } from "../../../content/content.ts";
import type { Image } from "../../../images/images.ts";
import { MEDIA } from "../../../oci/media-types.ts";
import { parseReference, withDefaultTag } from "../../../oci/reference.ts";
import type { Descriptor } from "../../../oci/types.ts";
import type { BlobSink, Credentials, Remote, Repository } from "../../../remote/remote.ts";
import type { CacheLocation } from "../../builder.ts";
import { MAX_DOCUMENT } from "./format.ts";

export interface CachePlace {
  /** What people call it. */
  readonly name: string;
  /** The manifest or index that the place has; "not-found" when it has none. */
  manifest(
    which: Digest | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly mediaType: string; readonly bytes: Buffer }>;
  /** A blob's bytes from the sink's offset on; its owner checks them. */
  fetch(blob: Descriptor, sink: BlobSink, signal: AbortSignal): Promise<void>;
  has(blob: Digest, signal: AbortSignal): Promise<boolean>;
  /** `file`: one with just these bytes. */
  send(blob: Descriptor, file: string, signal: AbortSignal): Promise<void>;
  /** Under the place's tag. */
  putManifest(
    manifest: { readonly descriptor: Descriptor; readonly bytes: Buffer },
    signal: AbortSignal,
  ): Promise<void>;
}

/** "invalid" for attributes that name no place. */
export function openPlace(
  { type, attributes }: CacheLocation,
  direction: "from" | "to",
  {
    remote,
    credentials,
  }: { readonly remote: Remote; readonly credentials: (domain: string) => Credentials | undefined },
): CachePlace {
  if (type === "local") {
    const name = direction === "from" ? "src" : "dest";
    const folder = attributes[name] ?? "";
    if (!isAbsolute(folder))
      throw new EngineError("invalid", `${name} of a local cache must be an absolute path: "${folder}"`);
    return new LayoutPlace(folder, attributes.tag ?? "latest");
  }
  if (attributes.ref === undefined) throw new EngineError("invalid", `a cache of type ${type} needs ref=`);
  const reference = withDefaultTag(parseReference(attributes.ref));
  const access = direction === "from" ? "pull" : "push";
  const repository = remote.repository(reference, { access, credentials: credentials(reference.domain) });
  return new RegistryPlace(repository, attributes.ref);
}

class RegistryPlace implements CachePlace {
  readonly name: string;
  readonly #repository: Repository;

  constructor(repository: Repository, name: string) {
    this.#repository = repository;
    this.name = name;
  }

  async manifest(which: Digest | undefined, signal: AbortSignal) {
    const { tag = "latest", digest } = this.#repository.reference;
    const named = which ?? digest;
    const found = await this.#repository.manifest(named === undefined ? { tag } : { digest: named }, signal);
    return { mediaType: found.descriptor.mediaType, bytes: found.bytes };
  }

  fetch(blob: Descriptor, sink: BlobSink, signal: AbortSignal): Promise<void> {
    return this.#repository.fetch(blob, sink, { signal });
  }

  async has(blob: Digest, signal: AbortSignal): Promise<boolean> {
    return (await this.#repository.describe({ blob }, signal)) !== undefined;
  }

  async send({ digest, size }: Descriptor, file: string, signal: AbortSignal): Promise<void> {
    const open = (start: number, end: number) =>
      createReadStream(file, { start, end: end - 1, highWaterMark: 1 << 20 });
    await this.#repository.send({ digest, size, open }, { signal });
  }

  putManifest(manifest: Parameters<CachePlace["putManifest"]>[0], signal: AbortSignal): Promise<void> {
    return this.#repository.putManifest({ tag: this.#repository.reference.tag ?? "latest" }, manifest, signal);
  }
}

/** An image that is here: only to read from. */
export function imagePlace(content: Content, { id, manifest }: Image): CachePlace {
  const refuse = () => Promise.reject(new Error("a local image takes no cache"));
  return {
    name: id,
    manifest: async (which) => ({ mediaType: manifest.mediaType, bytes: await content.read(which ?? manifest.digest) }),
    async fetch({ digest }, sink) {
      for await (const chunk of content.stream(digest, { start: sink.offset })) await sink.write(chunk as Buffer);
    },
    has: async (blob) => content.info(blob) !== undefined,
    send: refuse,
    putManifest: refuse,
  };
}

const REF_NAME = "org.opencontainers.image.ref.name";

class LayoutPlace implements CachePlace {
  readonly name: string;
  readonly #tag: string;

  constructor(folder: string, tag: string) {
    this.name = folder;
    this.#tag = tag;
  }

  async manifest(which: Digest | undefined) {
    const digest = which ?? this.#index().find(({ annotations }) => annotations?.[REF_NAME] === this.#tag)?.digest;
    if (digest === undefined)
      throw new EngineError("not-found", `there is no cache with the tag ${this.#tag} in ${this.name}`);
    const bytes = this.#read(this.#blob(digest));
    if (digestOf(bytes) !== digest) throw new EngineError("invalid", `${digest} in ${this.name} is damaged`);
    return { mediaType: MEDIA.ociManifest, bytes };
  }

  async fetch(blob: Descriptor, sink: BlobSink, signal: AbortSignal): Promise<void> {
    const source = createReadStream(this.#blob(blob.digest), { start: sink.offset, highWaterMark: 1 << 20, signal });
    for await (const chunk of source) await sink.write(chunk as Buffer);
  }

  async has(blob: Digest): Promise<boolean> {
    return existsSync(this.#blob(blob));
  }

  async send({ digest }: Descriptor, file: string): Promise<void> {
    const target = this.#blob(digest);
    // Of another build of the same layer too.
    const part = `${target}.${newId().slice(0, 12)}.part`;
    await this.#writing(async () => {
      makeFolders(join(target, ".."));
      try {
        await copyFile(file, part);
        await rename(part, target);
      } catch (error) {
        rmSync(part, { force: true });
        throw error;
      }
    });
  }

  putManifest(manifest: Parameters<CachePlace["putManifest"]>[0]): Promise<void> {
    return this.#writing(async () => this.#putManifest(manifest));
  }

  #putManifest({ descriptor, bytes }: Parameters<CachePlace["putManifest"]>[0]): void {
    makeFolders(join(this.#blob(descriptor.digest), ".."));
    writeFileAtomic(this.#blob(descriptor.digest), bytes);
    const others = this.#index().filter(({ annotations }) => annotations?.[REF_NAME] !== this.#tag);
    const manifests = [...others, { ...descriptor, annotations: { [REF_NAME]: this.#tag } }];
    const index = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests };
    writeFileAtomic(join(this.name, "index.json"), JSON.stringify(index));
    writeFileAtomic(join(this.name, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  }

  async #writing(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const place = `the cache in ${this.name}`;
      throw explainDiskFull(error, `${place} could not be written`, `make room on the disk of ${this.name}`);
    }
  }

  #index(): readonly Descriptor[] {
    if (!existsSync(join(this.name, "index.json"))) return [];
    try {
      const { manifests } = JSON.parse(this.#read(join(this.name, "index.json")).toString()) as {
        manifests?: Descriptor[];
      };
      return Array.isArray(manifests) ? manifests : [];
    } catch (cause) {
      throw new EngineError("invalid", `${this.name} has no OCI layout`, { cause });
    }
  }

  #read(path: string): Buffer {
    try {
      return readFileSync(path).subarray(0, MAX_DOCUMENT);
    } catch (cause) {
      if (errnoOf(cause) === "ENOENT") throw new EngineError("not-found", `there is no ${path}`, { cause });
      throw cause;
    }
  }

  #blob(digest: Digest): string {
    const { algorithm, hex } = parseDigest(digest);
    return join(this.name, "blobs", algorithm, hex);
  }
}
