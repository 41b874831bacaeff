/** What a name in a registry stands for: its documents are read, checked and stored; what blobs it needs is known then. */
import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import type { Content } from "../content/content.ts";
import { isImageConfigType, isIndexType, isManifestType } from "../oci/media-types.ts";
import { formatPlatform, HOST_PLATFORM, platformMatches } from "../oci/platform.ts";
import type { Descriptor, ImageConfigFile, ImageManifest, Platform } from "../oci/types.ts";
import { LIMITS, parseImageConfig, parseIndex, parseManifest } from "../oci/validate.ts";
import type { RemoteManifest, Repository } from "../remote/remote.ts";
import type { Lease } from "./images.ts";
import { checkLayerCount } from "./plan.ts";
import { bestChild, isAside } from "./pull-choice.ts";
import { isImageManifest } from "./target.ts";

export interface PullPlan {
  /** What the name stands for: a manifest or an index. */
  readonly top: Descriptor;
  /** The image that is unpacked; undefined for an artifact. */
  readonly image: { readonly config: ImageConfigFile; readonly layers: readonly Descriptor[] } | undefined;
  /** What is kept besides, as it is: other platforms, attestations, an artifact's parts. */
  readonly others: readonly Descriptor[];
}

export interface PullWish {
  /** "all": an index is kept whole. */
  readonly platform?: Platform | "all" | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where documents come from: what is stored already is not asked for. */
export interface Documents {
  readonly repository: Repository;
  readonly content: Content;
  /** Holds what is found and what is stored. */
  readonly lease: Lease;
}

export type Which = { readonly tag: string } | { readonly digest: Digest };

/** "not-found" when there is no image of the platform; "invalid" for documents that are none. */
export async function planPull(documents: Documents, which: Which, wish: PullWish): Promise<PullPlan> {
  return await new Planner(documents, wish).plan(which);
}

class Planner {
  readonly #documents: Documents;
  readonly #wish: PullWish;
  readonly #others = new Map<Digest, Descriptor>();
  #manifests = 0;

  constructor(documents: Documents, wish: PullWish) {
    this.#documents = documents;
    this.#wish = wish;
  }

  async plan(which: Which): Promise<PullPlan> {
    const top = await this.#documents.repository.manifest(which, this.#wish.signal);
    await this.#store(top.bytes, "digest" in which ? which.digest : undefined);
    const chosen = await this.#choose(top, 0);
    if (this.#wish.platform === "all" && isIndexType(top.descriptor.mediaType)) await this.#takeAll(top, chosen, 0);
    const image = await this.#read(chosen);
    return { top: top.descriptor, image, others: [...this.#others.values()] };
  }

  /** The manifest of the platform that is wanted, else of the one that suits the machine. */
  async #choose(found: RemoteManifest, depth: number): Promise<RemoteManifest> {
    if (!isIndexType(found.descriptor.mediaType)) return found;
    checkDepth(depth);
    const { manifests } = parseIndex(found.bytes, `index ${found.descriptor.digest}`);
    const { platform } = this.#wish;
    const child = bestChild(manifests, platform === "all" ? undefined : platform, { orAny: platform === "all" });
    return await this.#choose(await this.#child(child), depth + 1);
  }

  /** Everything that an index names, but for the blobs of the chosen image. */
  async #takeAll(index: RemoteManifest, chosen: RemoteManifest, depth: number): Promise<void> {
    checkDepth(depth);
    for (const child of parseIndex(index.bytes, `index ${index.descriptor.digest}`).manifests) {
      if (++this.#manifests > LIMITS.manifests)
        throw new EngineError("invalid", `${index.descriptor.digest} names more than ${LIMITS.manifests} manifests`);
      if (child.digest === chosen.descriptor.digest) continue;
      if (isIndexType(child.mediaType)) await this.#takeAll(await this.#child(child), chosen, depth + 1);
      else if (isManifestType(child.mediaType)) this.#takeBlobs(parse(await this.#child(child)));
      else this.#others.set(child.digest, child);
    }
  }

  #takeBlobs({ config, layers }: ImageManifest): void {
    for (const blob of [config, ...layers]) this.#others.set(blob.digest, blob);
  }

  async #read(manifest: RemoteManifest): Promise<PullPlan["image"]> {
    const parsed = parse(manifest);
    if (!isImageManifest(parsed) || isAside(manifest.descriptor)) {
      this.#takeBlobs(parsed);
      return undefined;
    }
    const config = await this.#config(parsed.config);
    checkLayerCount(config, parsed.layers.length);
    const { platform } = this.#wish;
    if (platform !== undefined && platform !== "all" && !platformMatches(platform, config))
      throw mismatch(platform, config);
    return { config, layers: parsed.layers };
  }

  async #child(child: Descriptor): Promise<RemoteManifest> {
    const { mediaType, digest, size, platform, annotations } = child;
    const descriptor = { mediaType, digest, size, ...(platform && { platform }), ...(annotations && { annotations }) };
    const stored = await this.#stored(child, LIMITS.manifestBytes);
    if (stored !== undefined) return { descriptor, bytes: stored };
    const { bytes } = await this.#documents.repository.manifest({ digest }, this.#wish.signal);
    if (bytes.length !== size)
      throw new EngineError("invalid", `manifest ${digest} has ${bytes.length} bytes, its index says ${size}`);
    await this.#store(bytes, digest);
    return { descriptor, bytes };
  }

  async #config(blob: Descriptor): Promise<ImageConfigFile> {
    const what = `configuration ${blob.digest}`;
    if (!isImageConfigType(blob.mediaType))
      throw new EngineError("invalid", `${what} is ${blob.mediaType || "of no type"}`);
    if (blob.size > LIMITS.configBytes)
      throw new EngineError("invalid", `${what} has ${blob.size} bytes, at most ${LIMITS.configBytes} are accepted`);
    const stored = await this.#stored(blob, LIMITS.configBytes);
    const bytes = stored ?? (await this.#fetch(blob));
    const config = parseImageConfig(bytes, what);
    if (stored === undefined) await this.#store(bytes, blob.digest);
    return config;
  }

  async #fetch(blob: Descriptor): Promise<Buffer> {
    const chunks: Buffer[] = [];
    const sink = { offset: 0, write: async (chunk: Uint8Array) => void chunks.push(Buffer.from(chunk)) };
    await this.#documents.repository.fetch(blob, sink, { signal: this.#wish.signal });
    const bytes = Buffer.concat(chunks);
    const { algorithm } = parseDigest(blob.digest);
    const actual = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
    if (actual === blob.digest) return bytes;
    const problem = "the registry's answer is not what was asked for";
    throw new EngineError("invalid", `configuration ${blob.digest} has the digest ${actual}: ${problem}`);
  }

  /** Undefined when it is not stored. */
  async #stored({ digest, size }: Descriptor, limit: number): Promise<Buffer | undefined> {
    const { content, lease } = this.#documents;
    await lease.hold([digest]);
    return content.info(digest)?.size === size ? await content.read(digest, limit) : undefined;
  }

  async #store(bytes: Buffer, digest?: Digest): Promise<void> {
    const { content, lease } = this.#documents;
    await lease.store(() => content.put(bytes, { digest, sync: false }));
  }
}

function parse({ bytes, descriptor }: RemoteManifest): ImageManifest {
  return parseManifest(bytes, `manifest ${descriptor.digest}`);
}

function checkDepth(depth: number): void {
  if (depth >= LIMITS.indexDepth)
    throw new EngineError("invalid", `indexes lie more than ${LIMITS.indexDepth} deep in each other`);
}

function mismatch(wanted: Platform, actual: Platform): EngineError {
  return new EngineError(
    "not-found",
    `the image was found but does not match the specified platform: wanted ${formatPlatform(wanted)}, actual: ${formatPlatform(actual)}`,
    { hint: `This machine is ${formatPlatform(HOST_PLATFORM)}.` },
  );
}
