/**
 * The images module's contract.
 *
 * Vocabulary
 *   target     what a name points to, kept whole: an image's manifest, an index over several platforms (with attestations and
 *              whatever else lies beside them), or an artifact
 *   part       a manifest at the leaves of a target: an image of one platform, an attestation, or something unknown. It is
 *              available when its manifest, its configuration and all its layers are in content
 *   image      one platform's image: a manifest, a configuration, layers
 *   image id   the digest of the image's configuration file (what `docker images` shows). A target shows one of its images: the
 *              available one that fits the host best, else the first one. A target without images (an artifact) is shown
 *              under its own digest; it can be tagged, saved, pushed and removed, but not run
 *   reference  a name with a tag or digest, normalised ("docker.io/library/alpine:3"); shown familiar ("alpine:3")
 *
 * An image without a reference is dangling; it stays until pruned or removed. An image that only other images' targets contain
 * (the arm64 one beside the host's) is not listed by itself; it comes and goes with them, and is reached by `platform` or by id.
 *
 * Recording an image (load, pull, build, import, commit): take a lease; store blobs under it; `record` the target. Blobs and
 * layers stay as long as a target that is recorded, a lease, a container or a keeper (see `ImagesOptions.keeps`) needs them.
 */
import type { Readable } from "node:stream";
import type {
  ImageDeleteItem,
  ImageHistoryItem,
  ImageInspect,
  ImagePruneResult,
  ImageSummary,
} from "../api/types/image.ts";
import type { Digest } from "../base/digest.ts";
import type { Reference } from "../oci/reference.ts";
import type { Descriptor, ImageConfigFile, ImageRunConfig, Platform } from "../oci/types.ts";
import type { Credentials } from "../remote/remote.ts";

/** An image as the rest of the engine needs it: frozen. */
export interface Image {
  readonly id: Digest;
  readonly manifest: Descriptor;
  readonly config: ImageConfigFile;
  /** The topmost layer; undefined for an image without layers. */
  readonly chainId: Digest | undefined;
}

export type PartKind = "image" | "attestation" | "unknown";

export interface Part {
  /** With the platform, for an image that is available. */
  readonly descriptor: Descriptor;
  readonly kind: PartKind;
  readonly available: boolean;
  /** The image id; only for an image that is available. */
  readonly image?: Digest | undefined;
  /** The manifest that an attestation is about. */
  readonly for?: Digest | undefined;
  /** Manifest, configuration, layers; empty unless it is available. */
  readonly blobs: readonly Digest[];
}

export interface Target {
  readonly descriptor: Descriptor;
  /** The image id it is shown under. */
  readonly imageId: Digest;
  /** The index, and indexes inside it; empty for a single manifest. */
  readonly documents: readonly Digest[];
  readonly parts: readonly Part[];
}

/** Keeps blobs and layers that nothing recorded reaches yet. */
export interface Lease {
  /** Post-condition: what is stored under these digests (blobs) and chain ids (layers), now or later, stays until the lease ends. Hold before asking whether it is there. */
  hold(digests: Iterable<Digest>): Promise<void>;
  /** Stores something whose digest is known only then, and holds it: `lease.store(() => ingest.commit())`. */
  store<T extends { readonly digest: Digest }>(commit: () => Promise<T>): Promise<T>;
}

export interface RecordOptions {
  /** A manifest or an index whose bytes are in content. */
  readonly target: Descriptor;
  /** Each with a tag or a digest. They move here from what had them before. None: the image dangles. */
  readonly names: readonly Reference[];
  /** The local image that this one was made from. */
  readonly parent?: Digest | undefined;
  /** False: layers are unpacked when they are first used. Default true: those of the shown image are ready. */
  readonly unpack?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of a layer's blob that are unpacked so far. */
  readonly onUnpack?: ((layer: { readonly diffId: Digest; readonly size: number }, bytes: number) => void) | undefined;
}

export interface Recorded {
  readonly target: Target;
  /** The shown one; undefined for an artifact. */
  readonly image: Image | undefined;
  /** Images that lost one of the names, which are left to dangle when it was their last. */
  readonly moved: readonly { readonly name: Reference; readonly from: Digest }[];
}

export type Filters = Readonly<Record<string, readonly string[]>>;

/** One line of progress as Docker's clients draw it (jsonmessage). */
export interface Progress {
  readonly id?: string | undefined;
  readonly status?: string | undefined;
  readonly stream?: string | undefined;
  readonly progressDetail?: { readonly current?: number | undefined; readonly total?: number | undefined } | undefined;
  readonly aux?: unknown;
}

export interface ImageUse {
  readonly containerId: string;
  readonly imageId: Digest;
  readonly running: boolean;
}

export interface Images {
  /**
   * Records the use, and takes microseconds. By reference, id, id prefix, digest. "not-found": `No such image: x`; an ambiguous
   * prefix is refused. `platform`: the target's image of it, "not-found" when there is none. "invalid" for an artifact.
   */
  get(name: string, platform?: Platform | undefined): Image;
  /** As `get`, and no use is recorded. */
  peek(name: string, platform?: Platform | undefined): Image;
  /** What the name points to, whole. */
  target(name: string): Target;
  /** Post-condition: the image's layers are unpacked. Fast when they are. "invalid" when a layer is not what the configuration says. */
  unpack(image: Image, options?: Pick<RecordOptions, "signal" | "onUnpack">): Promise<void>;
  /** Runs with a lease. Afterwards, whether it failed or not, what was held and nothing else needs is removed. */
  lease<T>(work: (lease: Lease) => Promise<T>): Promise<T>;
  /**
   * Makes an image of blobs that lie in content, under a lease of the caller's. Which platforms of an index are available is
   * found out by looking; recording again after more of them came adds these. No event is published. Durable when it resolves;
   * nothing changed when it rejects. "invalid" for documents that are none, a manifest whose blobs are missing, an index of which no
   * platform is here, layers that do not fit the configuration.
   */
  record(options: RecordOptions): Promise<Recorded>;
  list(options: {
    readonly all: boolean;
    readonly filters: Filters;
    readonly sharedSize: boolean;
    readonly digests: boolean;
    readonly manifests: boolean;
  }): Promise<ImageSummary[]>;
  /** `manifests`: everything that its target has. */
  inspect(
    name: string,
    platform?: Platform | undefined,
    options?: { readonly manifests?: boolean | undefined },
  ): Promise<ImageInspect>;
  history(name: string, platform?: Platform | undefined): ImageHistoryItem[];
  /** The new name points to the same target, whole; with a platform to that image alone. */
  tag(name: string, repo: string, tag: string, platform?: Platform | undefined): void;
  /** Docker's rules: untag, delete when the last reference goes, refuse while a container uses it. With `platforms` only their images go, and the name stays as long as another is left. */
  remove(
    name: string,
    options: { readonly force: boolean; readonly prune: boolean; readonly platforms?: readonly Platform[] | undefined },
  ): Promise<ImageDeleteItem[]>;
  prune(filters: Filters): Promise<ImagePruneResult>;
  /** Docker archives and OCI layouts; plain, gzip, zstd, bzip2, xz. "invalid" for what is neither; nothing is left then. The archive is read, not closed. */
  load(
    archive: Readable,
    options: {
      /** Of images with several platforms only these; without, all that the archive has. */
      readonly platforms?: readonly Platform[] | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly onProgress: (line: Progress) => void;
    },
  ): Promise<void>;
  /** From its registry, verified and unpacked; a name without tag and digest means every tag. Progress as Docker's clients draw it. */
  pull(
    name: string,
    options: {
      /** "all": an image with several is kept whole, with what lies beside them. */
      readonly platform?: Platform | "all" | undefined;
      readonly credentials?: Credentials | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly onProgress: (line: Progress) => void;
    },
  ): Promise<void>;
  /** Ends the pulls that are under way, keeping the bytes they have for the next one of the same blobs. For the end of the engine. */
  suspend(): Promise<void>;
  /**
   * To its registry; a name without a tag means every tag that is here. What was made here goes compressed, and is kept so. A name with a
   * digest is "invalid" unless `byDigest`: then the registry gets no tag.
   */
  push(
    name: string,
    options: {
      readonly platform?: Platform | undefined;
      readonly byDigest?: boolean | undefined;
      readonly credentials?: Credentials | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly onProgress: (line: Progress) => void;
    },
  ): Promise<void>;
  /** One archive that is an OCI layout and a Docker archive at once. Targets go whole, as far as they are here, or with the given platforms only. */
  save(names: readonly string[], platforms?: readonly Platform[] | undefined): Promise<Readable>;
  /** A flat root file system becomes an image of one layer: a tar, plain or compressed, or an http(s) URL of one. */
  import(
    source: Readable | URL,
    options: {
      readonly repo?: string | undefined;
      readonly tag?: string | undefined;
      readonly message?: string | undefined;
      readonly changes: readonly string[];
      readonly platform?: Platform | undefined;
      readonly signal?: AbortSignal | undefined;
      /** Of a download. */
      readonly onProgress?: ((line: Progress) => void) | undefined;
    },
  ): Promise<Digest>;
  /** Makes an image of a container's changes; see `containers`. `diff` is a layer tar. */
  commit(options: {
    readonly parent: Image | undefined;
    readonly diff: Readable;
    readonly config: ImageRunConfig;
    /** The history's words for how the layer came to be: the container's command. */
    readonly createdBy: string;
    readonly repo?: string | undefined;
    readonly tag?: string | undefined;
    readonly author?: string | undefined;
    readonly message?: string | undefined;
    readonly containerId: string;
  }): Promise<Digest>;
  /** Whether an image that is recorded has this layer. */
  needsLayer(chainId: Digest): boolean;
  /** Removes blobs and layers that nothing reaches (what a killed gantryd left; layers whose last container went after their image). Returns the bytes freed. */
  collect(): Promise<number>;
  /** Bytes on the disk of all images together, each layer and blob once, and of downloads that are not finished. */
  layersSize(): Promise<number>;
  /** Records a use of the image, if it is still here: `get` does by itself. */
  used(id: Digest): void;
  /** Unpacks again what a power cut may have damaged, as far as its blobs are here. What cannot be is told to the log. */
  repair(): Promise<void>;
}
